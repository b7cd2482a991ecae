-- When a run was taken up, last: what is handed in after that is not in its report, so whoever asks then
-- gets another run.
ALTER TABLE reconciliations ADD COLUMN begun_at BIGINT;
DROP INDEX reconciliations_waiting;
CREATE UNIQUE INDEX reconciliations_waiting ON reconciliations (day)
    WHERE daily = 0 AND state = 'waiting' AND begun_at IS NULL;
