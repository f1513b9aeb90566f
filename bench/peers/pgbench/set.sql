-- An update of a random row: what a write costs the server when nothing orders the writers. (The bytes of the value are a literal: pgbench has no binary variables.)
\set row random(0, :rows - 1)
update kv set v = decode(repeat('5a', 100), 'hex'), version = version + 1 where k = '\x0262656e636800'::bytea || int8send(:row);
