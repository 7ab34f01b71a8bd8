// A client of the event bus with MQTT.js. What it does and what it reads: docs/integrator-quickstart.md.
import { readFileSync } from 'node:fs'
import mqtt from 'mqtt'

const env = process.env
const topic = env.MQTT_TOPIC ?? 'test/example/javascript'
const count = Number(env.COUNT ?? 5)
const run = process.hrtime.bigint().toString(16) // tells the messages of this run from those of another
const seen = new Set()
let refreshAt = Infinity
let subscribed = false

const sleep = (ms) => new Promise((resolve) => setTimeout(resolve, ms))
const fail = (text) => {
  console.log(text)
  process.exit(1)
}

// A fresh access token, and in how many seconds the next one should be fetched.
async function token() {
  let text, life
  if (env.TOKEN_FILE) {
    ;[text, life] = [readFileSync(env.TOKEN_FILE, 'ascii').trim(), 300]
  } else {
    const form = { grant_type: 'client_credentials', client_id: env.CLIENT_ID, client_secret: env.CLIENT_SECRET, scope: 'mqtt' }
    const answer = await fetch(env.TOKEN_URL, { method: 'POST', body: new URLSearchParams(form), signal: AbortSignal.timeout(10000) })
    if (!answer.ok) throw new Error(`the identity provider answers ${answer.status}`)
    const body = await answer.json()
    ;[text, life] = [body.access_token, body.expires_in]
  }
  // well before the end, and not at the same moment as everybody else
  return [text, Number(env.REFRESH_S ?? life * (0.7 + 0.2 * Math.random()))]
}

const options = {
  host: env.MQTT_HOST ?? '127.0.0.1',
  port: Number(env.MQTT_PORT ?? (env.CERT_FILE ? 8883 : 1883)),
  protocol: env.CERT_FILE ? 'mqtts' : 'mqtt',
  protocolVersion: 4, // MQTT 3.1.1
  clientId: env.MQTT_CLIENT_ID ?? 'example-javascript', // an id of its own,
  clean: false, // and a session that the server keeps while we are away
  keepalive: 30,
  reconnectPeriod: 0, // by itself it would come back with the old token
  manualConnect: true,
}
if (env.CERT_FILE) {
  Object.assign(options, { ca: readFileSync(env.CA_FILE), cert: readFileSync(env.CERT_FILE), key: readFileSync(env.KEY_FILE) })
}
// what is on its way; reconnect() would begin with empty ones, and what was published meanwhile would be gone
const stores = { incomingStore: new mqtt.Store({ clean: false }), outgoingStore: new mqtt.Store({ clean: false }) }
const client = mqtt.connect({ ...options, ...stores })
client.on('error', () => {}) // connect() below reports those of a login, `close` the end of a connection

client.on('message', (name, payload) => {
  const [from, n] = payload.toString().split(' ')
  if (from !== run || seen.has(n)) return // QoS 1: a message may come twice
  seen.add(n)
  console.log(`received ${name} ${n}`)
})

// Connects once with a fresh credential; tells whether the server had kept the session.
async function connect() {
  if (!env.CERT_FILE) {
    const [password, wait] = await token()
    Object.assign(client.options, { username: 'oauthtoken', password })
    refreshAt = Date.now() + wait * 1000
  }
  const result = new Promise((resolve, reject) => {
    const done = (settle) => (value) => {
      for (const [event, f] of listeners) client.off(event, f)
      settle(value)
    }
    const listeners = [
      ['connect', done(resolve)],
      ['error', done(reject)],
      ['close', done(() => reject(new Error('the connection was closed')))],
    ]
    for (const [event, f] of listeners) client.on(event, f)
  })
  client.reconnect(stores)
  const { sessionPresent } = await result
  console.log(`connected, session ${sessionPresent ? 'resumed' : 'new'}`)
  client.once('close', lost)
  if (!sessionPresent || !subscribed) await subscribe()
}

async function subscribe() {
  let refused = true
  try {
    const granted = await client.subscribeAsync(`${topic}/#`, { qos: 1 })
    refused = granted.some((g) => g.qos === 128)
  } catch {}
  if (refused) fail(`subscription refused: ${topic}/#`)
  subscribed = true
}

let leaving = false
async function lost() {
  if (leaving) return
  console.log('connection lost')
  for (let wait = 1000; ; wait = Math.min(wait * 2, 60000)) {
    await sleep(wait * Math.random()) // all clients of a server lose it at the same moment
    try {
      return await connect()
    } catch (e) {
      console.log(`trying again: ${e.message}`)
    }
  }
}

async function leave() {
  leaving = true
  await client.endAsync() // in good order; the session stays
  leaving = false
}

await connect().catch((e) => fail(`refused: ${e.message}`))
for (let n = 1; n <= count; n++) {
  if (client.connected && Date.now() >= refreshAt) {
    await leave()
    await connect()
    console.log('token refreshed')
  }
  await client.publishAsync(`${topic}/${n}`, `${run} ${n}`, { qos: 1 }) // until the site has stored it
  await sleep(1000)
}
for (let i = 0; i < 600 && seen.size < count; i++) await sleep(100)
if (seen.size < count) fail(`${count - seen.size} messages did not come back`)
await leave()
console.log('done')
