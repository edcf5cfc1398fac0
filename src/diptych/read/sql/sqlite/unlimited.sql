-- No transaction is limited in time here.
SELECT NULL;
