-- Let the transaction under way take its time, as for making indexes.
SELECT CASE WHEN current_setting('server_version_num')::integer >= 170000
            THEN set_config('transaction_timeout', '0', true) END;
