using System.Diagnostics.CodeAnalysis;
using System.Reflection;
using System.Runtime.CompilerServices;
using Kv.Values;
using Microsoft.Extensions.DependencyInjection;

namespace Kv.Handling;

/// <summary>A handler delegate whose parameters are the message, what it carries, a token, and services of the message's scope.</summary>
internal static class InjectedHandler
{
    /// <summary>Makes the handler.</summary>
    /// <typeparam name="TMessage">The type of the messages.</typeparam>
    /// <param name="handle">The delegate.</param>
    /// <returns>The handler, and the parameters that are services.</returns>
    /// <exception cref="ArgumentException">The delegate cannot be called so.</exception>
    [UnconditionalSuppressMessage("Trimming", "IL2075", Justification = "A delegate's Invoke is never trimmed.")]
    public static (KvMessageDelegate Handle, IReadOnlyList<ParameterInfo> Services) Make<TMessage>(Delegate handle)
    {
        var invoke = handle.GetType().GetMethod(nameof(Action.Invoke))!;
        var parameters = handle.Method.GetParameters();
        if (parameters.Length != invoke.GetParameters().Length)
        {
            // Closed over its first argument.
            parameters = invoke.GetParameters();
        }

        var text = $"handler of {TypeText.Of(typeof(TMessage))}";
        if (invoke.ReturnType != typeof(ValueTask) && !typeof(Task).IsAssignableFrom(invoke.ReturnType)
            && (invoke.ReturnType != typeof(void) || handle.Method.IsDefined(typeof(AsyncStateMachineAttribute), inherit: false)))
        {
            throw new ArgumentException(
                $"The {text} returns {TypeText.Of(invoke.ReturnType)}, so nothing tells when it has ended. Return a Task or ValueTask.",
                nameof(handle));
        }

        if (Array.Find(parameters, static p => p.ParameterType.IsByRef || p.ParameterType.IsByRefLike) is { } reference)
        {
            throw new ArgumentException(
                $"The parameter '{reference.Name}' of the {text} is passed by reference, and nothing can be given so. Take it by value.",
                nameof(handle));
        }

        var services = new List<ParameterInfo>();
        var arguments = Array.ConvertAll(parameters, parameter => Argument<TMessage>(parameter, services));
        var call = MethodInvoker.Create(invoke);
        return ((context, token) => call.Invoke(handle, Array.ConvertAll(arguments, argument => argument(context, token)).AsSpan()) switch
        {
            Task task => task,
            ValueTask task => task.AsTask(),
            _ => Task.CompletedTask,
        }, services);
    }

    private static Func<KvMessageContext, CancellationToken, object?> Argument<TMessage>(
        ParameterInfo parameter, List<ParameterInfo> services)
    {
        var type = parameter.ParameterType;
        if (type == typeof(TMessage))
        {
            return static (context, _) => context.Read<TMessage>();
        }

        if (type == typeof(KvMessageContext))
        {
            return static (context, _) => context;
        }

        if (type == typeof(CancellationToken))
        {
            return static (_, token) => token;
        }

        services.Add(parameter);
        return parameter.GetCustomAttribute<FromKeyedServicesAttribute>() is { } keyed
            ? parameter.HasDefaultValue
                ? (context, _) => context.Services.GetKeyedService(type, keyed.Key) ?? parameter.DefaultValue
                : (context, _) => context.Services.GetRequiredKeyedService(type, keyed.Key)
            : parameter.HasDefaultValue
                ? (context, _) => context.Services.GetService(type) ?? parameter.DefaultValue
                : (context, _) => context.Services.GetRequiredService(type);
    }
}
