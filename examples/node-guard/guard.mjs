// A guard in another language. It watches every run and kills those that make more than MOST tool calls.
// Reading a subject and publishing a kill is all it takes: `node guard.mjs`, with CALLBOARD_URL and MOST set.
import { connect, JSONCodec } from "nats";

const { CALLBOARD_URL: servers, CALLBOARD_PREFIX: prefix = "cb" } = process.env;
const most = Number(process.env.MOST ?? 20);
const json = JSONCodec();
const calls = new Map(); // run -> its tool calls, by name and attempt: a message that comes twice counts once
const ENDS = new Set(["run.completed", "run.failed", "run.killed"]);

const bus = await connect({ servers, name: "node-guard", maxReconnectAttempts: -1 });

async function kill(tenant, run, count) {
  const reason = `it made ${count} tool calls, ${most} are allowed`;
  const kill = { type: "run.killed", reason, by: "guard:node-guard", guard: "node-guard" };
  for (;;) {
    try {
      await bus.request(`${prefix}.run.${tenant}.${run}`, json.encode(kill), { timeout: 2000 }); // stored: it stands
      break;
    } catch (error) {
      console.error(`not acknowledged, again: ${error.message}`); // a second kill of a run changes nothing
    }
  }
  const said = { id: `node-guard-${run}`, guard: "node-guard", action: "kill", acted: true, reason, run };
  bus.publish(`${prefix}.guard.${tenant}.node-guard.kill`, json.encode({ ...said, at: new Date().toISOString() }));
  console.log(`killed ${tenant}/${run}: ${reason}`);
}

function see(tenant, run, event) {
  const key = `${tenant}/${run}`;
  if (ENDS.has(event.type)) return calls.delete(key);
  if (event.type !== "tool.requested") return;
  const made = calls.get(key) ?? calls.set(key, new Set()).get(key);
  const before = made.size;
  made.add(`${event.call}/${event.attempt ?? 1}`);
  if (before <= most && made.size > most) kill(tenant, run, made.size);
}

const feed = bus.subscribe(`${prefix}.live.>`);
await bus.flush();
console.log("watching");
for await (const message of feed) {
  const [, , tenant, run] = message.subject.split(".");
  for (const event of json.decode(message.data).events ?? []) see(tenant, run, event);
}
