using EfKvApp;
using Kv;
using Microsoft.Extensions.Diagnostics.HealthChecks;
#if (otel)
using OpenTelemetry;
#endif

var builder = Host.CreateApplicationBuilder(args);

// The section Kv of appsettings.json says where the store is.
builder.Services.AddKvStore();
builder.Services.AddKvWorker()
    .Handle<ReportDue, ReportHandler>()
    .Schedule("report", KvSchedule.Every(TimeSpan.FromSeconds(10)), new ReportDue());
builder.Services.AddHealthChecks().AddKvStore();
builder.Services.AddSingleton<IHealthCheckPublisher, HealthLog>();
#if (otel)
// OTEL_EXPORTER_OTLP_ENDPOINT says where to.
builder.Services.AddOpenTelemetry().AddKvInstrumentation().UseOtlpExporter();
#endif

using var host = builder.Build();
await host.Services.MigrateKvStoreAsync();
await host.RunAsync();
