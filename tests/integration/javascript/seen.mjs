// node seen.mjs <NATS URL> [<name> [<id>]]: what ping, info and stats answer, as one JSON object.
import { Svcm } from "@nats-io/services";
import { connect } from "@nats-io/transport-node";

const [servers, ...target] = process.argv.slice(2);
const connection = await connect({ servers });
const client = new Svcm(connection).client({ strategy: "stall", maxWait: 5000 });
const seen = {};
for (const verb of ["ping", "info", "stats"]) {
  seen[verb] = [];
  for await (const answer of await client[verb](...target)) {
    seen[verb].push(answer);
  }
}
console.log(JSON.stringify(seen));
await connection.close();
