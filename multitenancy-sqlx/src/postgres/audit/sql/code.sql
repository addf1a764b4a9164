SELECT 's17_view_with_owners_rights', name, 'is a view that runs with its owner''s rights',
    format('ALTER VIEW %s SET (security_invoker = true)', name)
FROM relations
WHERE relkind = 'v' AND reachable AND NOT EXISTS (SELECT FROM pg_options_to_table(reloptions)
    WHERE option_name = 'security_invoker' AND option_value::boolean)
UNION ALL
SELECT 's17_materialized_view', name, 'is a materialized view, which row-level security does not guard', revoke
FROM relations JOIN revokes USING (oid) WHERE relkind = 'm' AND NOT reference
UNION ALL
SELECT 's17_rule', name, format('has the rule %I, which acts with its owner''s rights', rulename),
    format('DROP RULE %I ON %s', rulename, name)
FROM relations JOIN pg_rewrite ON ev_class = relations.oid
WHERE reachable AND rulename <> '_RETURN'
UNION ALL
SELECT 's18_definer_function', format('%I.%I(%s)', nspname, proname, pg_get_function_identity_arguments(p.oid)),
    'runs with its owner''s rights, and units of work can execute it',
    format('ALTER ROUTINE %I.%I(%s) SECURITY INVOKER', nspname, proname, pg_get_function_identity_arguments(p.oid))
FROM pg_proc AS p JOIN pg_namespace AS n ON n.oid = pronamespace
WHERE prosecdef AND nspname !~ '^pg_' AND nspname <> 'information_schema'
    AND (EXISTS (SELECT FROM app WHERE has_function_privilege(app.oid, p.oid, 'EXECUTE'))
        -- Firing a trigger needs no right to its function.
        OR EXISTS (SELECT FROM pg_trigger JOIN relations ON tgrelid = relations.oid WHERE tgfoid = p.oid AND reachable)
        -- Using an aggregate or an operator needs no right to its functions.
        OR EXISTS (SELECT FROM pg_depend WHERE refclassid = 'pg_proc'::regclass AND refobjid = p.oid
            AND (classid IN ('pg_amproc'::regclass, 'pg_type'::regclass)
                OR classid = 'pg_proc'::regclass AND objid IN (SELECT aggfnoid FROM pg_aggregate))))
