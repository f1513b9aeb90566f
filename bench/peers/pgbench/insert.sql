-- A row of its own for every transaction: the server's ceiling for durable writes, one commit each.
\set row random(1000000000, 1000000000000000)
insert into kv (k, v, v_encoding, version) values ('\x0262656e636800'::bytea || int8send(:row), decode(repeat('5a', 100), 'hex'), 3, 1) on conflict do nothing;
