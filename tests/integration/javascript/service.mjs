// node service.mjs <NATS URL> <name> <version>: a service that speaks only the micro protocol. Prints its id, and stops on
// SIGTERM.
import { Svcm } from "@nats-io/services";
import { connect } from "@nats-io/transport-node";

const [servers, name, version] = process.argv.slice(2);
const connection = await connect({ servers });
const service = await new Svcm(connection).add({
  name,
  version,
  description: "Adds numbers.",
  metadata: { language: "javascript" },
});
service.addGroup("math").addEndpoint("sum", (error, message) => {
  if (error) throw error;
  const numbers = message.json();
  message.respond(JSON.stringify(numbers.reduce((sum, each) => sum + each, 0)));
});
console.log(service.info().id);
process.on("SIGTERM", async () => {
  await service.stop();
  await connection.close();
});
