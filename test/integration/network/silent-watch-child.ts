import { createServer } from "node:http";

/** An API server of one watch: one event, then silence. Listens on the address of its own network namespace. */
const [address = "127.0.0.1"] = process.argv.slice(2);
const event = {
  type: "ADDED",
  object: {
    apiVersion: "v1",
    kind: "ConfigMap",
    metadata: { name: "a", namespace: "one", resourceVersion: "7", uid: "u" },
  },
};
const server = createServer((_request, response) => {
  response.writeHead(200, { "content-type": "application/json" });
  response.write(`${JSON.stringify(event)}\n`);
});
server.listen(8080, address, () => process.stdout.write("listening\n"));
