-- One writing transaction at a time is open anyhow.
SELECT :projection, :silence;
