SELECT 'schema tenancy' AS object, 'what Install makes is missing, or of an earlier version' AS problem, 'call Install' AS remedy
WHERE to_regprocedure('tenancy.clear()') IS NULL
