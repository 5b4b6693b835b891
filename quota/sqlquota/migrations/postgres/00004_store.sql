-- +goose Up

-- What the store calls. A request names its counters once, by tenant, kind, name and
-- key; its returns and charges refer to them by their place, from 0.

-- +goose StatementBegin
-- Carries out the returns of a request, which nothing refuses, and then its charges, all
-- or none. An ID whose answer is remembered gets that answer.
CREATE FUNCTION tenancy_quota_take(request jsonb) RETURNS jsonb LANGUAGE plpgsql AS $$
DECLARE
    who      text := request->>'tenant';
    process  text := request->>'holder';
    returns  jsonb := request->'returns';
    charges  jsonb := request->'charges';
    counters tenancy_quota_counters[];
    before   tenancy_quota_counters[]; -- the charges
    changed  boolean[];
    c        tenancy_quota_counters;
    granted  jsonb := '[]';
    answer   jsonb;
    at       bigint;
    done     record;
    slot     int;
BEGIN
    IF current_setting('transaction_isolation') <> 'read committed' THEN
        RAISE EXCEPTION 'want the isolation level read committed' USING ERRCODE = 'active_sql_transaction';
    END IF;
    PERFORM tenancy_quota_lock(who);
    at := tenancy_quota_now(request);
    SELECT a.answer INTO answer FROM tenancy_quota_answers a
        WHERE a.tenant = who AND a.id = request->>'id' AND a.expires_at > at;
    IF FOUND THEN
        RETURN answer;
    END IF;
    FOR i IN 1 .. jsonb_array_length(request->'counters') LOOP
        counters[i] := tenancy_quota_counter(who, request->'counters'->(i - 1));
        changed[i] := false;
    END LOOP;

    FOR i IN 0 .. jsonb_array_length(returns) - 1 LOOP
        slot := (returns->i->>'slot')::int + 1;
        c := tenancy_quota_rolled(counters[slot], returns->i->'windows', at);
        counters[slot] := tenancy_quota_give_back(c, returns->i, process, at);
        changed[slot] := true;
    END LOOP;

    before := counters;
    FOR i IN 0 .. jsonb_array_length(charges) - 1 LOOP
        slot := (charges->i->>'slot')::int + 1;
        c := counters[slot];
        IF c.kind = 'rate' THEN
            c := tenancy_quota_rolled(c, charges->i->'windows', at);
            done := tenancy_quota_count(c, charges->i, at);
            -- A refusal leaves no more than the windows, if there was a counter at all.
            changed[slot] := changed[slot] OR c.used > 0 AND c.windows IS DISTINCT FROM before[slot].windows;
        ELSE
            done := tenancy_quota_hold(c, charges->i, process, at + (request->>'ttl')::bigint, at);
        END IF;
        IF done.answer ? 'cause' THEN
            answer := done.answer || jsonb_build_object('ok', false, 'at', at, 'refused', i);
            counters[slot] := c;
            EXIT;
        END IF;
        counters[slot] := done.c;
        granted := granted || done.answer;
    END LOOP;

    FOR i IN 1 .. jsonb_array_length(request->'counters') LOOP
        IF answer IS NOT NULL THEN -- undo what was charged
            c := before[i];
            c.windows := (counters[i]).windows;
            counters[i] := c;
        END IF;
        IF answer IS NULL OR changed[i] THEN
            PERFORM tenancy_quota_keep(counters[i]);
        END IF;
    END LOOP;
    answer := coalesce(answer, jsonb_build_object('ok', true, 'at', at, 'granted', granted));
    PERFORM tenancy_quota_remember(request, answer, at);
    RETURN answer;
END
$$;
-- +goose StatementEnd

-- +goose StatementBegin
-- Keeps the answer, in the place of at most four of the tenant's old ones. One that was
-- heard is kept for a minute more, should a copy of the question come yet.
CREATE FUNCTION tenancy_quota_remember(request jsonb, what jsonb, at bigint) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
    who    text := request->>'tenant';
    minute CONSTANT bigint := 60000000000;
BEGIN
    DELETE FROM tenancy_quota_answers WHERE tenant = who AND id IN (
        SELECT id FROM tenancy_quota_answers WHERE tenant = who AND expires_at <= at ORDER BY expires_at LIMIT 4 FOR UPDATE SKIP LOCKED); -- Prune's
    IF request ? 'forget' THEN
        UPDATE tenancy_quota_answers SET expires_at = at + minute
            WHERE tenant = who AND id = request->>'forget' AND expires_at > at + minute;
    END IF;
    INSERT INTO tenancy_quota_answers (tenant, id, expires_at, answer)
    VALUES (who, request->>'id', at + (request->>'remember')::bigint, what)
    ON CONFLICT (tenant, id) DO UPDATE SET expires_at = excluded.expires_at, answer = excluded.answer;
END
$$;
-- +goose StatementEnd

-- +goose StatementBegin
-- Says what a process holds. Tenants have their turns in the order of their locks, as
-- others wait for more than one of them too.
CREATE FUNCTION tenancy_quota_renew(request jsonb) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
    c    tenancy_quota_counters;
    held jsonb;
    at   bigint;
BEGIN
    IF current_setting('transaction_isolation') <> 'read committed' THEN
        RAISE EXCEPTION 'want the isolation level read committed' USING ERRCODE = 'active_sql_transaction';
    END IF;
    PERFORM tenancy_quota_lock(tenant) FROM (
        SELECT DISTINCT h->>'tenant', hashtextextended(h->>'tenant', 7163525114382310145)
        FROM jsonb_array_elements(request->'held') h ORDER BY 2 OFFSET 0) t (tenant, turn);
    at := tenancy_quota_now(request);
    FOR held IN SELECT * FROM jsonb_array_elements(request->'held') LOOP
        c := tenancy_quota_counter(held->>'tenant', held);
        IF (held->>'n')::bigint > 0 OR c.holders ? (request->>'holder') THEN
            PERFORM tenancy_quota_keep(tenancy_quota_held(tenancy_quota_live(c, at),
                request->>'holder', (held->>'n')::bigint, at + (request->>'ttl')::bigint));
        END IF;
    END LOOP;
END
$$;
-- +goose StatementEnd

-- +goose StatementBegin
-- The time, and the counters that the request names, as they were last written.
CREATE FUNCTION tenancy_quota_read(request jsonb) RETURNS jsonb LANGUAGE plpgsql STABLE AS $$
DECLARE
    counters jsonb := '[]';
BEGIN
    FOR i IN 0 .. jsonb_array_length(request->'counters') - 1 LOOP
        counters := counters || to_jsonb(tenancy_quota_counter(request->>'tenant', request->'counters'->i));
    END LOOP;
    RETURN jsonb_build_object('now', tenancy_quota_now(request), 'counters', counters);
END
$$;
-- +goose StatementEnd

-- +goose StatementBegin
-- Deletes old answers and idle counters, up to a limit of each. Rows that others have
-- their hands on stay; who writes one that goes meanwhile inserts it again.
CREATE FUNCTION tenancy_quota_prune(request jsonb) RETURNS bigint LANGUAGE plpgsql AS $$
DECLARE
    at      bigint := tenancy_quota_now(request);
    most    bigint := (request->>'limit')::bigint;
    answers bigint;
    idle    bigint;
BEGIN
    DELETE FROM tenancy_quota_answers WHERE ctid = ANY (ARRAY(
        SELECT ctid FROM tenancy_quota_answers WHERE expires_at <= at LIMIT most FOR UPDATE SKIP LOCKED));
    GET DIAGNOSTICS answers = ROW_COUNT;
    DELETE FROM tenancy_quota_counters WHERE ctid = ANY (ARRAY(
        SELECT ctid FROM tenancy_quota_counters WHERE fresh_at <= at LIMIT most FOR UPDATE SKIP LOCKED));
    GET DIAGNOSTICS idle = ROW_COUNT;
    RETURN answers + idle;
END
$$;
-- +goose StatementEnd

-- +goose StatementBegin
-- The functions mean the tables beside them, whatever the search path of the caller.
DO $$
DECLARE
    name text;
BEGIN
    FOREACH name IN ARRAY ARRAY['tenancy_quota_take', 'tenancy_quota_renew', 'tenancy_quota_read', 'tenancy_quota_prune'] LOOP
        EXECUTE format('ALTER FUNCTION %I(jsonb) SET search_path = pg_catalog, %I, pg_temp', name, current_schema());
    END LOOP;
END
$$;
-- +goose StatementEnd
