namespace Kv.Connections;

/// <summary>A statement found other tables than the store's, and did nothing.</summary>
internal sealed class OtherTablesException()
    : Exception("The tables that the connection finds are not the store's. Nothing was written. Use a context on the store's database.");
