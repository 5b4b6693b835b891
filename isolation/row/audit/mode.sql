SELECT 'function tenancy.current_tenant()' AS object,
  CASE WHEN i.mode IS NULL THEN format('it is missing, and this strategy is in mode %s', cfg.mode)
    ELSE format('it is installed for mode %s, and this strategy is in mode %s', i.mode, cfg.mode) END AS problem,
  format('call Install with this strategy, which makes it %s for every process, or give row.New the option of the mode that is installed', cfg.mode) AS remedy
FROM cfg CROSS JOIN LATERAL (
    SELECT (SELECT coalesce(substring(p.prosrc FROM 'mode: (\w+)'), 'plain') FROM pg_proc p JOIN pg_namespace n ON n.oid = p.pronamespace
      WHERE n.nspname = 'tenancy' AND p.proname = 'current_tenant' AND p.pronargs = 0) AS mode
  ) i
WHERE i.mode <> cfg.mode OR (i.mode IS NULL AND cfg.mode <> 'plain')
