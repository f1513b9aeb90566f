\set row random(0, :rows - 1)
select v, v_encoding, version from kv where k = '\x0262656e636800'::bytea || int8send(:row);
