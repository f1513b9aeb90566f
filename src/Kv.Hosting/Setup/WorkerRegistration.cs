using Kv.Handling;
using Kv.Schedules;

namespace Kv.Setup;

/// <summary>What <c>AddKvWorker</c> gathers for the worker of one store, before there is a container.</summary>
/// <param name="Store">The name of the store; empty for the one without a name.</param>
/// <param name="Handlers">The handlers of its messages.</param>
/// <param name="Schedules">Its schedules.</param>
internal sealed record WorkerRegistration(string Store, HandlerRegistry Handlers, ScheduleRegistry Schedules);
