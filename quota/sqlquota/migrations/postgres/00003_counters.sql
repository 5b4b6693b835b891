-- +goose Up

-- +goose StatementBegin
-- The time: that of the request, or the server's, to the millisecond.
CREATE FUNCTION tenancy_quota_now(request jsonb) RETURNS bigint LANGUAGE sql VOLATILE AS $$
    SELECT coalesce((request->>'now')::bigint, floor(extract(epoch FROM clock_timestamp()) * 1000)::bigint * 1000000)
$$;
-- +goose StatementEnd

-- +goose StatementBegin
-- Waits for the tenant's turn, which ends with the transaction.
CREATE FUNCTION tenancy_quota_lock(tenant text) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    PERFORM pg_advisory_xact_lock(hashtextextended(tenant, 7163525114382310145));
END
$$;
-- +goose StatementEnd

-- +goose StatementBegin
-- The counter where it begins at nought again, and its windows with it: so it never ends.
CREATE FUNCTION tenancy_quota_rebased(c tenancy_quota_counters) RETURNS tenancy_quota_counters LANGUAGE plpgsql IMMUTABLE AS $$
DECLARE
    key text;
    s   bigint[];
BEGIN
    FOR key, s IN SELECT k, translate(w::text, '[]', '{}') FROM jsonb_each(c.windows) e (k, w) LOOP
        FOR i IN 3 .. CASE WHEN key LIKE '%/strict' THEN 11 ELSE 3 END LOOP
            s[i] := greatest(s[i] - c.used, -1152921504606846976);
        END LOOP;
        c.windows := c.windows || jsonb_build_object(key, to_jsonb(s));
    END LOOP;
    c.used := 0;
    RETURN c;
END
$$;
-- +goose StatementEnd

-- +goose StatementBegin
-- The counter that ref names, or a new one. Numbers of units go up to 2^60, far beyond all
-- limits; a request, which has at most 400 steps of 2^53, takes no sum of them past 2^63.
CREATE FUNCTION tenancy_quota_counter(who text, ref jsonb) RETURNS tenancy_quota_counters LANGUAGE plpgsql STABLE AS $$
DECLARE
    c tenancy_quota_counters;
BEGIN
    SELECT * INTO c FROM tenancy_quota_counters t
        WHERE t.tenant = who AND t.kind = ref->>'kind' AND t.name = ref->>'name' AND t.key = ref->>'key';
    IF NOT FOUND THEN
        c := ROW(who, ref->>'kind', ref->>'name', ref->>'key', 0, 0, 0, '{}', '{}', NULL);
    ELSIF c.used > 1152921504606846976 THEN
        c := tenancy_quota_rebased(c);
    END IF;
    RETURN c;
END
$$;
-- +goose StatementEnd

-- +goose StatementBegin
-- Writes the counter down, with the time from which on it is as a new one.
CREATE FUNCTION tenancy_quota_keep(c tenancy_quota_counters) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    c.fresh_at := CASE c.kind
        WHEN 'rate' THEN greatest(c.arrival, (SELECT max((w->>0)::bigint) FROM jsonb_each(c.windows) e (k, w)))
        WHEN 'concurrent' THEN (SELECT coalesce(max((h->>1)::bigint), 0) FROM jsonb_each(c.holders) e (k, h))
    END;
    INSERT INTO tenancy_quota_counters VALUES (c.*)
    ON CONFLICT (tenant, kind, name, key) DO UPDATE SET
        used = excluded.used, arrival = excluded.arrival, kept = excluded.kept,
        windows = excluded.windows, holders = excluded.holders, fresh_at = excluded.fresh_at;
END
$$;
-- +goose StatementEnd

-- +goose StatementBegin
-- The counter with its windows rolled to at, and new ones where it lacks them.
CREATE FUNCTION tenancy_quota_rolled(c tenancy_quota_counters, windows jsonb, at bigint) RETURNS tenancy_quota_counters LANGUAGE plpgsql IMMUTABLE AS $$
DECLARE
    before bigint[];
    after  bigint[];
    w      jsonb;
BEGIN
    FOR i IN 0 .. jsonb_array_length(windows) - 1 LOOP
        w := windows->i;
        before := translate(c.windows->>(w->>'key'), '[]', '{}')::bigint[];
        after := tenancy_quota_roll(before, w, c.used, at);
        IF after IS DISTINCT FROM before THEN
            c.windows := c.windows || jsonb_build_object(w->>'key', to_jsonb(after));
        END IF;
    END LOOP;
    RETURN c;
END
$$;
-- +goose StatementEnd

-- +goose StatementBegin
-- Why n units of a rate have no room, and when they will.
CREATE FUNCTION tenancy_quota_refusal(c tenancy_quota_counters, windows jsonb, n bigint, at bigint) RETURNS jsonb LANGUAGE plpgsql IMMUTABLE AS $$
DECLARE
    never  CONSTANT bigint := 9223372036854775807;
    latest bigint := at;
    number int := 0;
    again  bigint;
    w      jsonb;
BEGIN
    FOR i IN 0 .. jsonb_array_length(windows) - 1 LOOP
        w := windows->i;
        again := tenancy_quota_retry(translate(c.windows->>(w->>'key'), '[]', '{}')::bigint[], w, c.used, n, at);
        IF again > latest THEN
            latest := again;
            number := i;
        END IF;
    END LOOP;
    IF latest = never THEN
        RETURN jsonb_build_object('cause', 'too large', 'window', number);
    END IF;
    RETURN jsonb_build_object('cause', 'limit', 'window', number, 'retry', latest - at);
END
$$;
-- +goose StatementEnd

-- +goose StatementBegin
-- Takes units of a rate whose windows were rolled. The answer has a cause if it does not.
CREATE FUNCTION tenancy_quota_count(INOUT c tenancy_quota_counters, charge jsonb, at bigint, OUT answer jsonb) LANGUAGE plpgsql IMMUTABLE AS $$
DECLARE
    windows jsonb := charge->'windows';
    number  int := jsonb_array_length(windows);
    n       bigint := (charge->>'n')::bigint;
    fewest  bigint := (charge->>'least')::bigint;
    burst   bigint := (charge->>'burst')::bigint;
    per     bigint; -- so many units of the burst's rate
    length  bigint; -- take so long
    whole   bigint; -- and all of the burst so long
    later   bigint;
    room    bigint := 9007199254740992;
    edge    bigint;
    top     record;
BEGIN
    FOR i IN 0 .. number - 1 LOOP
        top := tenancy_quota_ceiling(translate(c.windows->>(windows->i->>'key'), '[]', '{}')::bigint[], windows->i, at);
        room := least(room, top.ceiling - c.used);
        edge := least(edge, top.edge);
    END LOOP;
    IF fewest > 0 THEN
        n := least(n, greatest(room, fewest));
    END IF;
    IF burst > 0 AND number > 0 THEN
        per := (windows->0->>'limit')::bigint;
        length := (windows->0->>'length')::bigint;
        IF per = 0 THEN
            answer := jsonb_build_object('cause', 'too large', 'window', number);
            RETURN;
        END IF;
        whole := tenancy_quota_muldiv_up(burst, length, per);
        later := greatest(c.arrival, at);
        IF fewest > 0 THEN
            n := greatest(fewest, least(n, tenancy_quota_muldiv(greatest(0, whole - (later - at)), per, length)));
        END IF;
        IF n > burst THEN
            answer := jsonb_build_object('cause', 'too large', 'window', number);
            RETURN;
        END IF;
        later := tenancy_quota_later(later, tenancy_quota_muldiv_up(n, length, per));
        IF later - at > whole THEN
            answer := jsonb_build_object('cause', 'limit', 'window', number, 'retry', later - whole - at);
            RETURN;
        END IF;
    END IF;
    IF n > room THEN
        answer := tenancy_quota_refusal(c, windows, n, at);
        RETURN;
    END IF;
    c.used := c.used + n;
    c.arrival := coalesce(later, c.arrival);
    answer := jsonb_build_object('n', n, 'left', room - n, 'for', coalesce(edge - at, 0));
END
$$;
-- +goose StatementEnd

-- +goose StatementBegin
-- The counter without holders whose time is over.
CREATE FUNCTION tenancy_quota_live(c tenancy_quota_counters, at bigint) RETURNS tenancy_quota_counters LANGUAGE plpgsql IMMUTABLE AS $$
BEGIN
    c.holders := (SELECT coalesce(jsonb_object_agg(k, h), '{}') FROM jsonb_each(c.holders) e (k, h) WHERE (h->>1)::bigint > at);
    RETURN c;
END
$$;
-- +goose StatementEnd

-- +goose StatementBegin
-- The counter of which the holder holds n units until then.
CREATE FUNCTION tenancy_quota_held(c tenancy_quota_counters, holder text, n bigint, until bigint) RETURNS tenancy_quota_counters LANGUAGE plpgsql IMMUTABLE AS $$
BEGIN
    c.holders := CASE WHEN n > 0 THEN c.holders || jsonb_build_object(holder, jsonb_build_array(least(n, 1152921504606846976), until)) ELSE c.holders - holder END;
    RETURN c;
END
$$;
-- +goose StatementEnd

-- +goose StatementBegin
-- Takes units that the holder holds. The answer has a cause if it does not.
CREATE FUNCTION tenancy_quota_hold(INOUT c tenancy_quota_counters, charge jsonb, holder text, until bigint, at bigint, OUT answer jsonb) LANGUAGE plpgsql IMMUTABLE AS $$
DECLARE
    n      bigint := (charge->>'n')::bigint;
    fewest bigint := (charge->>'least')::bigint;
    top    bigint := (charge->>'max')::bigint; -- -1 for none
    room   bigint := 9007199254740992;
    before jsonb;
BEGIN
    c := tenancy_quota_live(c, at);
    IF top >= 0 THEN
        room := top - (SELECT least(c.kept + coalesce(sum((h->>0)::bigint), 0), 1152921504606846976) FROM jsonb_each(c.holders) e (k, h));
    END IF;
    IF fewest > 0 THEN
        n := least(n, greatest(room, fewest));
    END IF;
    IF n > room THEN
        answer := CASE
            WHEN n > top THEN '{"cause": "too large"}'
            WHEN c.kind = 'concurrent' THEN '{"cause": "busy", "retry": 1000000000}'
            ELSE '{"cause": "stock"}'
        END;
        RETURN;
    END IF;
    before := coalesce(c.holders->holder, '[0, 0]');
    c := tenancy_quota_held(c, holder, (before->>0)::bigint + n, greatest((before->>1)::bigint, until));
    answer := jsonb_build_object('n', n, 'left', room - n, 'for', 0);
END
$$;
-- +goose StatementEnd

-- +goose StatementBegin
-- The counter after a return. The windows of a rate were rolled.
CREATE FUNCTION tenancy_quota_give_back(c tenancy_quota_counters, r jsonb, holder text, at bigint) RETURNS tenancy_quota_counters LANGUAGE plpgsql IMMUTABLE AS $$
DECLARE
    windows jsonb := r->'windows';
    n       bigint := (r->>'n')::bigint;
    since   bigint := (r->>'at')::bigint;
    kept    bigint := (r->>'kept')::bigint;
    before  jsonb;
    w       jsonb;
BEGIN
    IF c.kind <> 'rate' THEN
        c := tenancy_quota_live(c, at);
        before := coalesce(c.holders->holder, '[0, 0]');
        c := tenancy_quota_held(c, holder, (before->>0)::bigint - n, (before->>1)::bigint);
        IF c.kind = 'stock' THEN
            c.kept := least(greatest(0, kept + CASE WHEN (r->>'exact')::boolean THEN 0 ELSE c.kept END), 1152921504606846976);
        END IF;
        RETURN c;
    END IF;
    IF n < 0 THEN
        c.used := c.used - n;
    END IF;
    FOR i IN 0 .. jsonb_array_length(windows) - 1 LOOP
        EXIT WHEN n <= 0;
        w := windows->i;
        c.windows := c.windows || jsonb_build_object(w->>'key',
            to_jsonb(tenancy_quota_refund(translate(c.windows->>(w->>'key'), '[]', '{}')::bigint[], w, c.used, n, since, at)));
    END LOOP;
    w := windows->0;
    IF (r->>'burst')::bigint > 0 AND (w->>'limit')::bigint > 0 THEN
        c.arrival := CASE
            WHEN n > 0 THEN -- save what was due since
                greatest(0, c.arrival - greatest(0, tenancy_quota_muldiv_up(n, (w->>'length')::bigint, (w->>'limit')::bigint) - greatest(0, at - since)))
            ELSE tenancy_quota_later(greatest(c.arrival, at), tenancy_quota_muldiv_up(-n, (w->>'length')::bigint, (w->>'limit')::bigint))
        END;
    END IF;
    RETURN c;
END
$$;
-- +goose StatementEnd
