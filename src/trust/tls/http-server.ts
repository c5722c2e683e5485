/**
 * `createServer` of `node:http`. An import would read every export of that module, and with two of them load `fetch` and `WebSocket`: 20 ms
 * and 4 MiB of every process.
 */
export const createHttpServer = process.getBuiltinModule("node:http").createServer;
