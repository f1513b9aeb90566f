#!/usr/bin/env bash
# Adds the same-named migration to both provider packages: migrations/add.sh NAME [OLDEST]
# OLDEST is the migration that a version must know to go on beside the new one (docs/decisions/0053); without it, no older version goes on.
set -euo pipefail
name=${1:?usage: migrations/add.sh NAME [OLDEST]}${2:+_Beside_$2}
cd "$(dirname "$0")/.."
dotnet tool restore >/dev/null
for provider in Sqlite PostgreSql; do
    project=migrations/Kv.EfCore.$provider
    application=(--provider sqlite --connection "Data Source=design.db")
    if [ "$provider" = PostgreSql ]; then application=(--provider postgres --connection "Host=localhost;Database=design"); fi
    dotnet ef migrations add "$name" --project "$project" --startup-project samples/WorkerApp --output-dir Migrations -- "${application[@]}"
done
(cd migrations && sha256sum ./*/Migrations/*_"$name".cs ./*/Migrations/*_"$name".Designer.cs | sed 's# \./# #' >>released.sha256)
migrations/optimize.sh
