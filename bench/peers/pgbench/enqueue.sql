insert into queue (ts, id, data, backoff_schedule, keys_if_undelivered, topic, type, encoding)
values ((extract(epoch from clock_timestamp()) * 1000)::bigint, gen_random_uuid()::text, '\x7b224e756d626572223a317d', '[]', '[]', '', 'bench', 4);
