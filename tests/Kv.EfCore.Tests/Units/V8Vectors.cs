namespace Kv.Tests.Units;

/// <summary>Values as Deno 2.9.5 writes them, and as JSON; null for what JSON cannot say.</summary>
internal static class V8Vectors
{
    public static readonly (string Name, string Hex, string? Json)[] All =
    [
        ("undefined", "FF105F", "null"),
        ("null", "FF1030", "null"),
        ("true", "FF1054", "true"),
        ("false", "FF1046", "false"),
        ("0", "FF104900", "0"),
        ("1", "FF104902", "1"),
        ("-1", "FF104901", "-1"),
        ("42", "FF104954", "42"),
        ("63", "FF10497E", "63"),
        ("64", "FF10498001", "64"),
        ("-64", "FF10497F", "-64"),
        ("-65", "FF10498101", "-65"),
        ("2^30", "FF10498080808008", "1073741824"),
        ("2^31-1", "FF1049FEFFFFFF0F", "2147483647"),
        ("-2^31", "FF1049FFFFFFFF0F", "-2147483648"),
        ("2^31", "FF104E000000000000E041", "2147483648"),
        ("2^53-1", "FF104EFFFFFFFFFFFF3F43", "9007199254740991"),
        ("-0", "FF104E0000000000000080", "-0"),
        ("1.5", "FF104E000000000000F83F", "1.5"),
        ("NaN", "FF104E000000000000F87F", "\"NaN\""),
        ("-Infinity", "FF104E000000000000F0FF", "\"-Infinity\""),
        ("0n", "FF105A00", "0"),
        ("1n", "FF105A100100000000000000", "1"),
        ("-1n", "FF105A110100000000000000", "-1"),
        ("255n", "FF105A10FF00000000000000", "255"),
        ("2^64n", "FF105A2000000000000000000100000000000000", "18446744073709551616"),
        ("-2^64n", "FF105A2100000000000000000100000000000000", "-18446744073709551616"),
        ("''", "FF102200", "\"\""),
        ("'hello'", "FF10220568656C6C6F", "\"hello\""),
        ("'é'", "FF102201E9", "\"é\""),
        ("'ÿ'", "FF102201FF", "\"ÿ\""),
        ("'€'", "FF106302AC20", "\"€\""),
        ("'a€'", "FF1063046100AC20", "\"a€\""),
        ("'😀'", "FF1063043DD800DE", "\"\\uD83D\\uDE00\""),
        ("'\\ud800'", "FF10630200D8", "\"\uFFFD\""),
        ("{}", "FF106F7B00", "{}"),
        ("{a:1}", "FF106F22016149027B01", "{\"a\":1}"),
        ("{u:undefined}", "FF106F2201755F7B01", "{}"),
        ("{1:'a', b:2}", "FF106F490222016122016249047B02", "{\"1\":\"a\",\"b\":2}"),
        (
            "{'2147483648':3, '-1':1, '4294967295':2}",
            "FF106F4E000000000000E041490622022D314902220A3432393439363732393549047B03",
            "{\"2147483648\":3,\"-1\":1,\"4294967295\":2}"),
        ("{'€':1}", "FF106F006302AC2049027B01", "{\"€\":1}"),
        ("{k:'€'}", "FF106F22016B6302AC207B01", "{\"k\":\"€\"}"),
        ("{kk:'€'}", "FF106F22026B6B006302AC207B01", "{\"kk\":\"€\"}"),
        ("[]", "FF104100240000", "[]"),
        ("[1,2,3]", "FF104103490249044906240003", "[1,2,3]"),
        ("['a',null]", "FF10410222016130240002", "[\"a\",null]"),
        ("[1,,3]", "FF1061034900490249044906400203", "[1,null,3]"),
        ("new Array(3)", "FF106103400003", "[null,null,null]"),
        ("length 6 with [5]='x'", "FF106106490A220178400106", "[null,null,null,null,null,\"x\"]"),
        ("[1,2] with foo:'bar'", "FF104102490249042203666F6F2203626172240102", "[1,2]"),
        ("dense with a hole", "FF0F410249022D240002", "[1,null]"),
        ("new Date(0)", "FF10440000000000000000", "\"1970-01-01T00:00:00Z\""),
        ("new Date(1700000000123)", "FF104400B08756FEBC7842", "\"2023-11-14T22:13:20.123Z\""),
        ("invalid Date", "FF1044000000000000F87F", "null"),
        ("Map {'a'→1, 2→'b'}", "FF103B220161490249042201623A04", "{\"a\":1,\"2\":\"b\"}"),
        ("empty Map", "FF103B3A00", "{}"),
        ("Set {1,'a'}", "FF102749022201612C02", "[1,\"a\"]"),
        ("empty Set", "FF10272C00", "[]"),
        ("/ab+c/gi", "FF1052220461622B6303", "\"/ab+c/gi\""),
        ("/x/dgimsuy", "FF1052220178BF01", "\"/x/dgimsuy\""),
        ("/x/v", "FF10522201788002", "\"/x/v\""),
        ("ArrayBuffer 01 02 03", "FF104203010203", "\"AQID\""),
        ("resizable ArrayBuffer", "FF107E040800000000", "\"AAAAAA==\""),
        ("{v: Uint8Array, bytes 2..4}", "FF106F2201764208010203040506070856420203007B01", "{\"v\":\"AwQF\"}"),
        ("two views of one buffer", "FF1041024208010203040506070856420002005E015642020200240002", "[\"AQI=\",\"AwQ=\"]"),
        ("Int16Array [1,-1]", "FF1042040100FFFF5677000400", "[1,-1]"),
        ("Float64Array [1.5]", "FF104208000000000000F83F5646000800", "[1.5]"),
        ("BigInt64Array [-1n]", "FF104208FFFFFFFFFFFFFFFF5671000800", "[-1]"),
        ("Float16Array [1.5]", "FF104202003E5668000200", "[1.5]"),
        ("DataView 1..2 of 8", "FF1042080102030405060708563F010200", "\"AgM=\""),
        (
            "TypeError",
            "FF1072546D2204626F6F6D732218547970654572726F723A20626F6F6D0A20202020617420782E",
            "{\"name\":\"TypeError\",\"message\":\"boom\",\"stack\":\"TypeError: boom\\n    at x\"}"),
        (
            "Error with a cause",
            "FF10726D22056F7574657273220153636F22016349027B012E",
            "{\"name\":\"Error\",\"message\":\"outer\",\"stack\":\"S\",\"cause\":{\"c\":1}}"),
        ("an object in itself", "FF106F2201614902220473656C665E007B02", null),
        ("[x, x]", "FF1041026F22017849027B015E01240002", "[{\"x\":1},{\"x\":1}]"),
        ("new Boolean(true)", "FF1079", "true"),
        ("new Number(1.5)", "FF106E000000000000F83F", "1.5"),
        ("new String('x')", "FF1073220178", "\"x\""),
        ("Object(5n)", "FF107A100500000000000000", "5"),
        ("{n: KvU64 258}", "FF106F22016E6F220576616C75655A1002010000000000007B017B01", "{\"n\":{\"value\":258}}"),
        (
            "mixed",
            "FF106F220269644902220474616773410222016122016224000222047768656E44000000000000000022016D3B22016B2749"
                + "022C013A0222036269675A100500000000000000220173006304E900AC207B06",
            "{\"id\":1,\"tags\":[\"a\",\"b\"],\"when\":\"1970-01-01T00:00:00Z\",\"m\":{\"k\":[1]},\"big\":5,\"s\":\"é€\"}"),
    ];

    private const string LastIndex = "FF0F61FFFFFFFF0F" + "4E0000C0FFFFFFEF41" + "4902" + "4001FFFFFFFF0F";

    /// <summary>What others write, or wrote once, and what it is when it is written here.</summary>
    public static readonly (string Name, string Hex, string Written)[] Foreign =
    [
        ("Node: {v: Uint8Array}", "FF0F6F2201765C01030102037B01", "FF0F6F22017642030102035642000300" + "7B01"),
        ("Node: Buffer", "FF0F5C0A020102", "FF0F42020102" + "5642000200"),
        ("Node: [undefined]", "FF0F41015F240001", "FF0F41015F240001"),
        ("Node: an error with m, c, s", "FF0F726D22016D634902732201732E", "FF0F726D22016D73220173" + "6349022E"),
        ("an array of doubles", "FF1041024E000000000000F83F4E0000000000000040240002", "FF0F41024E000000000000F83F4904240002"),
        ("another NaN", "FF0F4E010000000000F8FF", "FF0F4E000000000000F87F"),
        ("bytes behind the value", "FF0F4902FFFF", "FF0F4902"),
        ("version 13", "FF0D490A", "FF0F490A"),
        ("uint32", "FF0F55FFFFFFFF0F", "FF0F4E0000E0FFFFFFEF41"),
        ("UTF-8", "FF0F5303E282AC", "FF0F6302AC20"),
        ("version 13: a view without flags", "FF0D420301020356420002", "FF0F4203010203" + "5642000200"),
        ("a bigint of one digit", "FF0F5A020A", "FF0F5A100A00000000000000"),
        ("a zero with a sign", "FF0F5A0300", "FF0F5A00"),
        ("cause: undefined", "FF0F72635F2E", "FF0F72635F2E"),
        ("the last index", LastIndex, LastIndex),
        ("an object of Deno's own", "FF0F5CFFFFFFFF0F6F22047479706522017A7B01", "FF0F5CFFFFFFFF0F6F22047479706522017A7B01"),
    ];

    /// <summary>A text as a value.</summary>
    public static V8Value Primitive(string text) => text;

    public static readonly (string Name, string Hex)[] Refused =
    [
        ("nothing", ""), ("no value", "FF0F"), ("no header", "490A"), ("a newer version", "FF114902"), ("an older version", "FF0B4902"),
        ("a name that is there twice", "FF0F6F49024904490249067B02"), ("an object that is not there", "FF0F41015E01240001"),
        ("a transfer", "FF0F7479"), ("flags that are not there", "FF0F522201618004"), ("half a character", "FF0F630161"),
        ("a count of properties that is wrong", "FF0F6F22016149027B02"), ("an array that is longer than all", "FF0F41FFFFFFFF0F"),
        ("two lengths of one array", "FF0F610249004902400103"), ("an index past the end", "FF0F610149024902400101"),
        ("a view past the end of its buffer", "FF0F420101" + "5642000200"), ("half an element", "FF0F4203010203" + "5677000300"),
        ("a view that is not there", "FF0F420101" + "5641000100"), ("a text that is not UTF-8", "FF0F5301FF"),
        ("a text that is longer than all", "FF0F22FFFFFFFF0F61"), ("a bigint that is longer than all", "FF0F5AFEFFFFFF0F01"),
        ("an error's item that is not there", "FF0F72782E"), ("a name that is an object", "FF0F6F6F7B0049027B01"),
        ("a name that is half a number", "FF0F6F4E000000000000F83F49027B01"), ("a number without an end", "FF0FFFFFFFFFFFFF"),
        ("a resizable buffer over its bound", "FF0F7E020101" + "02"), ("a host object that is none", "FF0F5CFFFFFFFF0F4902"),
    ];
}
