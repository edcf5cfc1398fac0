-- Record what was ordered by hand.
INSERT INTO diptych_act (at, projection, version, act, key, position, reason, by)
VALUES ((extract(epoch FROM clock_timestamp()) * 1000000)::bigint, :projection, :version, :act, :key, :position, :reason, :by);
