-- Whether a snapshot of this database is open that began before :now.
SELECT EXISTS (
    SELECT 1 FROM pg_stat_activity
    WHERE datname = current_database() AND pid <> pg_backend_pid()
        AND application_name = 'diptych-read' AND state <> 'idle' AND xact_start < :now
);
