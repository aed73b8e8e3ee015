-- Made anew whenever a file is brought to a newer version.

DROP VIEW IF EXISTS dependencies;
DROP VIEW IF EXISTS task_list;

CREATE VIEW dependencies AS
    SELECT t.id AS task, t.name AS name, n.id AS needs_task, n.name AS needs, n.state AS needs_state
    FROM tasks t, json_each('[' || t.needs || ']') each JOIN tasks n ON n.id = each.value;

CREATE VIEW task_list AS
    SELECT t.id, t.name,
        CASE t.state WHEN 1 THEN 'missing' WHEN 5 THEN 'done' WHEN 6 THEN 'failed'
            WHEN 7 THEN 'skipped' WHEN 8 THEN 'cancelled'
            ELSE CASE WHEN l.task IS NOT NULL THEN 'running' WHEN t.held THEN 'waiting'
                WHEN EXISTS (SELECT 1 FROM dependencies d WHERE d.task = t.id AND d.needs_state <> 5)
                THEN 'waiting' ELSE 'ready' END END AS state,
        t.priority, t.failures, t.held, t.command,
        coalesce(l.attempt, t.attempt) AS attempt,
        w.name AS worker, w.host, a.exit_code, a.reason
    FROM tasks t
        LEFT JOIN leases l ON l.task = t.id
        LEFT JOIN attempts a ON a.task = t.id AND a.attempt = t.attempt
        LEFT JOIN workers w ON w.id = coalesce(l.worker, a.worker);
