/**
 * ioredis, without what loading it does to every string of the process. Version 6 has a class that extends String
 * (`built/resp/verbatim-string.js`), and V8 keeps the properties of an object that becomes a prototype of a class in a
 * hash table until it meets them in an inline cache by way of an object. Strings are no objects: `String.prototype` would
 * stay a hash table, and no method of any string would be inlined again, which cost a call a tenth of its processor time.
 */
export { Cluster, Redis } from 'ioredis';

const asObject = Object('') as { at: unknown };
const lookUp = (): unknown => asObject.at;
// V8 gives a function its inline caches after some calls.
for (let times = 0; times < 100; times++) lookUp();
