/** ONNX models written by hand: the few messages of its Protocol Buffers schema (onnx.proto3) that a small graph needs. */

type Value = number | string | Uint8Array;
type Field = readonly [number: number, value: Value];

const float = 1;
const int64 = 7;
const attributeInt = 2;
const attributeInts = 7;

export type Dimension = number | string;

export interface Tensor {
  name: string;
  dimensions: readonly Dimension[];
  whole?: boolean;
}

export interface Graph {
  nodes: readonly Uint8Array[];
  inputs: readonly Tensor[];
  outputs: readonly Tensor[];
  constants?: readonly Uint8Array[];
  metadata?: Record<string, string | number>;
}

/** One operation of the standard set; attributes are whole numbers. */
export function node(
  operation: string,
  inputs: readonly string[],
  outputs: readonly string[],
  attributes: Record<string, number | readonly number[]> = {},
): Uint8Array {
  const written = Object.entries(attributes).map(([name, value]) =>
    typeof value === 'number'
      ? message([1, name], [3, value], [20, attributeInt])
      : message([1, name], ...each(8, value), [20, attributeInts]),
  );
  return message(...each(1, inputs), ...each(2, outputs), [4, operation], ...each(5, written));
}

export function floats(name: string, dimensions: readonly number[], values: readonly number[]): Uint8Array {
  return constant(name, dimensions, float, new Uint8Array(Float32Array.from(values).buffer));
}

export function wholeNumbers(
  name: string,
  dimensions: readonly number[],
  values: readonly number[],
): Uint8Array {
  return constant(name, dimensions, int64, new Uint8Array(BigInt64Array.from(values, BigInt).buffer));
}

/** A model of version 8 of the format, with version 13 of the standard operations. */
export function onnx({ nodes, inputs, outputs, constants = [], metadata = {} }: Graph): Uint8Array {
  const graph = message(
    ...each(1, nodes),
    [2, 'graph'],
    ...each(5, constants),
    ...each(11, inputs.map(tensor)),
    ...each(12, outputs.map(tensor)),
  );
  const properties = Object.entries(metadata).map(([key, value]) => message([1, key], [2, String(value)]));
  return message([1, 8], [8, message([1, ''], [2, 13])], [7, graph], ...each(14, properties));
}

function constant(name: string, dimensions: readonly number[], type: number, bytes: Uint8Array): Uint8Array {
  return message(...each(1, dimensions), [2, type], [8, name], [9, bytes]);
}

function tensor({ name, dimensions, whole = false }: Tensor): Uint8Array {
  const sizes = dimensions.map((size) => message([typeof size === 'number' ? 1 : 2, size]));
  const type = message([1, whole ? int64 : float], [2, message(...each(1, sizes))]);
  return message([1, name], [2, message([1, type])]);
}

function each(number: number, values: readonly Value[]): Field[] {
  return values.map((value): Field => [number, value]);
}

function message(...fields: readonly Field[]): Uint8Array {
  return Buffer.concat(
    fields.flatMap(([number, value]) => {
      if (typeof value === 'number') return [varint(number << 3), varint(value)];
      const bytes = typeof value === 'string' ? Buffer.from(value) : value;
      return [varint((number << 3) | 2), varint(bytes.length), bytes];
    }),
  );
}

function varint(value: number): Uint8Array {
  const bytes: number[] = [];
  let rest = value;
  do {
    bytes.push(rest > 127 ? (rest & 127) | 128 : rest);
    rest >>>= 7;
  } while (rest > 0);
  return Uint8Array.from(bytes);
}
