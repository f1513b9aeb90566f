using System.Diagnostics.CodeAnalysis;
using System.Reflection;
using Kv.Values;
using Microsoft.Extensions.DependencyInjection;

namespace Kv.Handling;

/// <summary>Finds at the start what the first message would find: services that a handler needs and the container does not have.</summary>
/// <param name="services">What was registered.</param>
internal sealed class HandlerNeeds(IServiceCollection services)
{
    private readonly List<(string Handler, Type? Class, IReadOnlyList<ParameterInfo> Parameters)> _needs = [];

    /// <summary>Remembers what is resolved for each message: a handler or middleware class.</summary>
    /// <param name="what">What an error calls it.</param>
    /// <param name="type">The class.</param>
    public void Add(string what, Type type) => _needs.Add((what, type, []));

    /// <summary>Remembers the services that a delegate takes.</summary>
    /// <param name="what">What an error calls it.</param>
    /// <param name="parameters">Its parameters that are services.</param>
    public void Add(string what, IReadOnlyList<ParameterInfo> parameters) => _needs.Add((what, null, parameters));

    /// <exception cref="InvalidOperationException">Something is not there; the message names handler, parameter and service.</exception>
    public void Check(IServiceProvider provider)
    {
        if (provider.GetService<IServiceProviderIsService>() is not { } known)
        {
            // A container of another maker that cannot tell.
            return;
        }

        var search = new Search(services, known);
        foreach (var (handler, type, parameters) in _needs)
        {
            if ((type is null ? search.Missing(parameters) : search.Missing(type)) is { } missing)
            {
                throw new InvalidOperationException(
                    $"{handler} cannot run: {missing}, and no such service is registered. Add it to the services, as with "
                    + "services.AddScoped<...>() or services.AddHttpClient(), or give the parameter a default.");
            }
        }
    }

    [UnconditionalSuppressMessage(
        "Trimming", "IL2070", Justification = "The container keeps the constructors of what is registered with it.")]
    private sealed class Search(IServiceCollection services, IServiceProviderIsService known)
    {
        private readonly HashSet<Type> _seen = [];

        public string? Missing(IEnumerable<ParameterInfo> parameters) =>
            parameters.Select(Missing).FirstOrDefault(static missing => missing is not null);

        /// <summary>What a registered service lacks; null if it has all, or only its own factory knows.</summary>
        public string? Missing(Type service)
        {
            var descriptor = services.LastOrDefault(d => !d.IsKeyedService && d.ServiceType == service);
            return descriptor?.ImplementationType is { IsGenericTypeDefinition: false } type && _seen.Add(type) ? OfClass(type) : null;
        }

        // The container takes the constructor with the most parameters of those that it can call.
        private string? OfClass(Type type)
        {
            string? first = null;
            foreach (var constructor in type.GetConstructors().OrderByDescending(static c => c.GetParameters().Length))
            {
                if (Missing(constructor.GetParameters()) is not { } missing)
                {
                    return null;
                }

                first ??= missing;
            }

            return first;
        }

        private string? Missing(ParameterInfo parameter)
        {
            if (parameter.HasDefaultValue || parameter.IsDefined(typeof(ServiceKeyAttribute)))
            {
                return null;
            }

            if (parameter.GetCustomAttribute<FromKeyedServicesAttribute>() is { } keyed)
            {
                return (known as IServiceProviderIsKeyedService)?.IsKeyedService(parameter.ParameterType, keyed.Key) == false
                    ? Text($" with the key '{keyed.Key}'")
                    : null;
            }

            return known.IsService(parameter.ParameterType) ? Missing(parameter.ParameterType) : Text("");

            string Text(string key) =>
                $"the parameter '{parameter.Name}' of {Owner(parameter.Member)} is a {TypeText.Of(parameter.ParameterType)}{key}";
        }

        private static string Owner(MemberInfo member) =>
            member is ConstructorInfo ? $"the constructor of {TypeText.Of(member.DeclaringType!)}" : "its delegate";
    }
}
