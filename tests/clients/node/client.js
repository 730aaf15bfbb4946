// etcd3, a Node client, against the member at HOST:PORT (scripts/clients.sh). Enables authentication at its end
// and disables it again.
'use strict';
const assert = require('node:assert/strict');
const { once } = require('node:events');
const { Etcd3 } = require('etcd3');

const hosts = process.argv[2];
const client = new Etcd3({ hosts });

async function keysAndValues() {
  await client.put('js/a').value('1');
  await client.put('js/b').value(2);
  assert.equal(await client.get('js/a').string(), '1');
  assert.deepEqual(await client.getAll().prefix('js/').sort('Key', 'Descend').keys(), ['js/b', 'js/a']);
  assert.equal(await client.getAll().prefix('js/').count(), 2);
  const past = (await client.put('js/a').value('3')).header.revision;
  assert.equal(await client.get('js/a').revision(Number(past) - 1).string(), '1');
  assert.equal((await client.delete().prefix('js/')).deleted, '2');
}

async function transactions() {
  const create = () =>
    client.if('js/t', 'Create', '==', 0).then(client.put('js/t').value('1')).else(client.get('js/t')).commit();
  assert.equal((await create()).succeeded, true);
  const refused = await create();
  assert.equal(refused.succeeded, false);
  assert.equal(refused.responses[0].response_range.kvs[0].value.toString(), '1');
}

async function softwareTransactions() {
  await client.put('js/stm').value(0);
  const increment = () =>
    client.stm({ retries: 100 }).transact(async tx => tx.put('js/stm').value((await tx.get('js/stm').number()) + 1));
  await Promise.all(Array.from({ length: 8 }, increment));
  assert.equal(await client.get('js/stm').number(), 8);
}

async function watch() {
  const watcher = await client.watch().prefix('js/w/').withPreviousKV().create();
  const heard = [];
  const all = new Promise(resolve =>
    watcher.on('data', ({ events }) => {
      for (const { type, kv, prev_kv: before } of events) {
        heard.push([type, kv.value.toString(), before && before.value.toString()]);
      }
      if (heard.length === 3) resolve();
    }),
  );
  await client.put('js/w/a').value('1');
  await client.put('js/w/a').value('2');
  await client.delete().key('js/w/a');
  await all;
  await watcher.cancel();
  assert.deepEqual(heard, [['Put', '1', null], ['Put', '2', '1'], ['Delete', '', '2']]);
}

async function leases() {
  const lease = client.lease(60);
  await lease.put('js/l').value('1');
  await lease.keepaliveOnce();
  await lease.revoke();
  assert.equal(await client.get('js/l'), null);
  const short = client.lease(1, { autoKeepAlive: false });
  await short.put('js/short').value('1');
  const watcher = await client.watch().key('js/short').create();
  await once(watcher, 'delete');
  await watcher.cancel();
}

async function locks() {
  const holder = client.lock('js/lock');
  await holder.acquire();
  await assert.rejects(client.lock('js/lock').acquire(), /lock/i);
  await holder.release();
  assert.equal(await client.lock('js/lock').do(async () => 'held'), 'held');
}

async function elections() {
  const election = client.election('js/election', 5);
  const campaign = election.campaign('candidate');
  await once(campaign, 'elected');
  assert.equal(await election.leader(), 'candidate');
  const observer = await election.observe();
  await campaign.proclaim('candidate again');
  if (observer.leader() !== 'candidate again') await once(observer, 'change');
  assert.equal(observer.leader(), 'candidate again');
  await observer.cancel();
  await campaign.resign();
}

async function authentication() {
  const role = client.role('js-role');
  await role.create();
  await role.grant({ permission: 'Readwrite', range: client.range({ prefix: 'js/own/' }) });
  await client.user('js-user').create('secret');
  await client.user('js-user').addRole(role);
  await client.role('root').create();
  await client.user('root').create('root-secret');
  await client.user('root').addRole('root');
  await client.auth.authEnable();
  const as = (username, password) => new Etcd3({ hosts, auth: { username, password } });
  const [user, root] = [as('js-user', 'secret'), as('root', 'root-secret')];
  try {
    await assert.rejects(client.put('js/own/a').value('1'));
    await user.put('js/own/a').value('1');
    assert.equal(await user.get('js/own/a').string(), '1');
    await assert.rejects(user.put('js/other').value('1'), /permission denied/);
    await assert.rejects(as('js-user', 'wrong').get('js/own/a').string());
  } finally {
    await root.auth.authDisable();
    for (const name of ['js-user', 'root']) await client.user(name).delete();
    for (const name of ['js-role', 'root']) await client.role(name).delete();
    user.close();
    root.close();
  }
}

async function main() {
  const cases = [keysAndValues, transactions, softwareTransactions, watch, leases, locks, elections, authentication];
  for (const each of cases) {
    await each();
    console.log(`node: ${each.name}`);
  }
  client.close();
}

main().catch(error => {
  console.error(error);
  process.exit(1);
});
