// A server on ssh2 for Node: PORT HOST_KEY AUTHORISED_KEY PASSWORD. Commands run by /bin/sh.
const fs = require('node:fs');
const { spawn } = require('node:child_process');
const { createRequire } = require('node:module');
const load = createRequire(process.env.INTEROP_NODE + '/');
const { Server, utils } = load('ssh2');

const [port, hostKey, authorised, password] = process.argv.slice(2);
const allowed = utils.parseKey(fs.readFileSync(authorised));

function login(context) {
  if (context.method === 'password' && context.password === password) return context.accept();
  if (context.method === 'publickey' && context.key.data.equals(allowed.getPublicSSH())) {
    if (!context.signature || allowed.verify(context.blob, context.signature, context.hashAlgo) === true) {
      return context.accept();
    }
  }
  return context.reject(['publickey', 'password']);
}

function run(accept, reject, info) {
  const channel = accept();
  const child = spawn('/bin/sh', ['-c', info.command], { stdio: ['ignore', 'pipe', 'pipe'] });
  child.stdout.pipe(channel, { end: false });
  child.stderr.pipe(channel.stderr, { end: false });
  child.on('close', (status) => {
    channel.exit(status ?? 1);
    channel.end();
  });
}

new Server({ hostKeys: [fs.readFileSync(hostKey)] }, (client) => {
  client.on('authentication', login);
  client.on('error', () => {});
  client.on('ready', () => client.on('session', (accept) => accept().on('exec', run)));
}).listen(Number(port), '127.0.0.1', () => {
  console.log('ready', load('ssh2/package.json').version);
});
