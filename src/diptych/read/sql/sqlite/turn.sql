-- One writing transaction at a time is open anyhow.
SELECT :turn;
