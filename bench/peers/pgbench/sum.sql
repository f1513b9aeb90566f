-- One hot row, which every transaction locks until it is durable.
update data_version set version = version + 1 where k = 0;
