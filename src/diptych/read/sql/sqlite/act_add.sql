-- Record what was ordered by hand.
INSERT INTO diptych_act (at, projection, version, act, key, position, reason, by)
VALUES (CAST(unixepoch('subsec') * 1000000 AS INTEGER), :projection, :version, :act, :key, :position, :reason, :by);
