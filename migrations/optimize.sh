#!/usr/bin/env bash
# Makes the models of both provider packages ahead of time, so that no start has to: migrations/optimize.sh, after each change of the model.
set -euo pipefail
cd "$(dirname "$0")/.."
dotnet tool restore >/dev/null
for provider in Sqlite PostgreSql; do
    project=migrations/Kv.EfCore.$provider
    application=(--provider sqlite --connection "Data Source=design.db")
    if [ "$provider" = PostgreSql ]; then application=(--provider postgres --connection "Host=localhost;Database=design"); fi
    dotnet build samples/WorkerApp --nologo -v quiet
    rm -rf "$project/CompiledModel"
    dotnet ef dbcontext optimize --no-build --project "$project" --startup-project samples/WorkerApp --output-dir CompiledModel --namespace "Kv.$provider.CompiledModel" -- "${application[@]}"
    rm "$project/CompiledModel/KvDbContextAssemblyAttributes.cs"
    sed -i 's/^    public partial class/    internal partial class/' "$project"/CompiledModel/*.cs
done
