// Values of every kind, by name. `deno` has all of them; Node's v8 writes views in a form of its own.
export function values() {
  const self = { a: 1 };
  self.self = self;
  const shared = { x: 1 };
  const buffer = new Uint8Array([1, 2, 3, 4, 5, 6, 7, 8]).buffer;
  const cause = new TypeError("boom", { cause: { c: 1n } });
  cause.stack = "TypeError: boom\n    at x";
  const many = {};
  for (let i = 0; i < 300; i++) many[`name${i}`] = i;
  const sparse = [];
  sparse[5] = "x";
  const extra = Object.assign([1, 2], { foo: "bar" });
  let deep = {};
  for (let i = 0; i < 500; i++) deep = { deep };
  return {
    undefined: undefined, null: null, true: true, false: false,
    zero: 0, one: 1, minus: -1, int: 2 ** 31 - 1, least: -(2 ** 31), over: 2 ** 31, safe: Number.MAX_SAFE_INTEGER,
    negativeZero: -0, half: 1.5, nan: NaN, infinity: -Infinity, tiny: 5e-324,
    bigZero: 0n, bigOne: 1n, bigMinus: -1n, big64: 2n ** 64n, bigHuge: -(3n ** 500n),
    empty: "", ascii: "hello", latin: "é ÿ", wide: "a€", emoji: "😀", half16: "\ud800", long: "€".repeat(5000),
    object: { a: 1, u: undefined, "€": 2, kk: "€" }, indexes: { 1: "a", b: 2, 2147483648: 3, "-1": 1, 4294967295: 2 }, many,
    array: [1, 2, 3], mixed: ["a", null, [1.5, 2]], holes: [1, , 3], sparse, length: new Array(3), extra, nested: [[], {}, [[]]],
    date: new Date(1700000000123), invalid: new Date(NaN), early: new Date(-8.64e15),
    map: new Map([["a", 1], [2, "b"], [{ k: 1 }, new Map()]]), set: new Set([1, "a", new Set()]),
    regexp: /ab+c/gi, flags: /x/dgimsuy,
    buffer: buffer.slice(0, 3),
    int8: new Int8Array([-1, 2]), clamped: new Uint8ClampedArray([255]), view: { v: new Uint8Array(buffer, 2, 3) },
    views: [new Uint8Array(buffer, 0, 2), new Uint8Array(buffer, 2, 2)], int16: new Int16Array([1, -1]), uint32: new Uint32Array([2 ** 32 - 1]),
    float32: new Float32Array([1.5]), float64: [new Float64Array([NaN, 1.5])], big64s: new BigInt64Array([-1n]),
    ubig64s: new BigUint64Array([2n ** 64n - 1n]), dataView: new DataView(buffer, 1, 2),
    error: Object.assign(new RangeError("range"), { stack: "S" }), cause,
    boxes: [new Boolean(true), new Number(1.5), new String("x"), Object(5n)],
    self, twice: [shared, shared], deep,
  };
}

// What only newer engines have.
export function newer() {
  return {
    resizable: new ArrayBuffer(4, { maxByteLength: 8 }),
    tracking: { v: new Uint8Array(new ArrayBuffer(4, { maxByteLength: 8 })) },
    float16: new Float16Array([1.5]),
    sets: new RegExp("x", "v"),
  };
}
