using EfKvApp;
#if (otel)
using Kv;
using OpenTelemetry;
#endif

var builder = WebApplication.CreateBuilder(args);

// The section Kv of appsettings.json says where the store is.
builder.Services.AddKvStore();
builder.Services.AddKvWorker().Handle<OrderPlaced, OrderHandler>();
builder.Services.AddHealthChecks().AddKvStore();
#if (otel)
// OTEL_EXPORTER_OTLP_ENDPOINT says where to.
builder.Services.AddOpenTelemetry().AddKvInstrumentation().UseOtlpExporter()
    .WithTracing(tracing => tracing.AddSource("Microsoft.AspNetCore"))
    .WithMetrics(metrics => metrics.AddMeter("Microsoft.AspNetCore.Hosting"));
#endif

var app = builder.Build();
await app.Services.MigrateKvStoreAsync();
app.MapOrders();
app.MapHealthChecks("/health");
await app.RunAsync();
