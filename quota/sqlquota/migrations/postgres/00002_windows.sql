-- +goose Up

-- How the units of a window come back as time passes. A window is described by the
-- JSON object w: its key, its roll, its length, its limit and, of a calendar, the ends
-- of the periods around now. Its state s is an array: until when it counts anything,
-- the time it was rolled to, and its words, which begin at s[3]. If the clock is set
-- back, the window stays at the time it was rolled to.

-- a * b / c, rounded down, and rounded up. What passes 2^61 is cut to it.
CREATE FUNCTION tenancy_quota_muldiv(a bigint, b bigint, c bigint) RETURNS bigint LANGUAGE sql IMMUTABLE AS $$
    SELECT least(div(a::numeric * b, c), 2305843009213693952)::bigint
$$;

CREATE FUNCTION tenancy_quota_muldiv_up(a bigint, b bigint, c bigint) RETURNS bigint LANGUAGE sql IMMUTABLE AS $$
    SELECT least(div(a::numeric * b + (c - 1), c), 2305843009213693952)::bigint
$$;

-- The sum of a time and a duration. What passes 2^62 is cut to it.
CREATE FUNCTION tenancy_quota_later(a bigint, b bigint) RETURNS bigint LANGUAGE sql IMMUTABLE AS $$
    SELECT least(a::numeric + b, 4611686018427387904)::bigint
$$;

-- +goose StatementBegin
-- The begin and the end of the calendar's period that at is in, and the end of the next.
CREATE FUNCTION tenancy_quota_period(w jsonb, at bigint, OUT beginning bigint, OUT ending bigint, OUT next bigint) LANGUAGE plpgsql IMMUTABLE AS $$
DECLARE
    boundary bigint;
BEGIN
    FOREACH boundary IN ARRAY translate(w->>'ends', '[]', '{}')::bigint[] LOOP
        IF boundary <= at THEN
            beginning := boundary;
        ELSIF ending IS NULL THEN
            ending := boundary;
        ELSE
            next := boundary;
            EXIT;
        END IF;
    END LOOP;
    IF beginning IS NULL OR next IS NULL THEN
        RAISE EXCEPTION 'the clocks of the client and the database differ by more than half a day';
    END IF;
END
$$;
-- +goose StatementEnd

-- +goose StatementBegin
-- The state s rolled to at, or that of a new window if s is null. It stays as it is
-- while its words do.
CREATE FUNCTION tenancy_quota_roll(s bigint[], w jsonb, used bigint, at bigint) RETURNS bigint[] LANGUAGE plpgsql IMMUTABLE AS $$
DECLARE
    roll   text := w->>'roll';
    length bigint := (w->>'length')::bigint;
    before bigint := s[2];
    late   CONSTANT bigint := 259200000000000; -- three days: more than zones and months differ by
    ending bigint;
    period record;
BEGIN
    at := greatest(at, before);
    IF roll = 'calendar' THEN
        period := tenancy_quota_period(w, at);
        ending := period.ending;
        IF s IS NULL OR at >= s[4] THEN
            IF period.beginning < s[4] THEN -- of another zone: part of it was in the period before
                ending := period.next;
            END IF;
            RETURN ARRAY[ending + length + late, at, used, ending, at];
        ELSIF ending > s[4] THEN -- of another zone
            RETURN ARRAY[ending + length + late, at, s[3], ending, s[5]];
        END IF;
        RETURN s;
    ELSIF roll = 'strict' THEN
        length := length / 8;
        IF s IS NULL THEN
            s := array_fill(used, ARRAY[11]);
        ELSIF at / length = before / length THEN
            RETURN s;
        END IF;
        FOR i IN 1 .. least(at / length - before / length, 9) LOOP
            s[3 + (at / length - i + 1) % 9] := used;
        END LOOP;
        s[1] := (at / length + 9) * length;
        s[2] := at;
        RETURN s;
    END IF;
    IF at / length = before / length THEN
        RETURN s;
    END IF;
    RETURN ARRAY[(at / length + 2) * length, at, used,
        CASE WHEN at / length = before / length + 1 THEN greatest(0, used - s[3]) ELSE 0 END];
END
$$;
-- +goose StatementEnd

-- +goose StatementBegin
-- The value of the counter up to which the window lets units in, and until when that
-- grows at most.
CREATE FUNCTION tenancy_quota_ceiling(s bigint[], w jsonb, at bigint, OUT ceiling bigint, OUT edge bigint) LANGUAGE plpgsql IMMUTABLE AS $$
DECLARE
    length bigint := (w->>'length')::bigint;
    top    bigint := (w->>'limit')::bigint;
BEGIN
    at := greatest(at, s[2]);
    CASE w->>'roll'
        WHEN 'calendar' THEN
            ceiling := s[3] + top;
            edge := s[4];
        WHEN 'strict' THEN
            length := length / 8;
            ceiling := s[3 + (at / length - 8) % 9] + top;
            edge := (at / length + 1) * length;
        ELSE
            edge := at - at % length + length;
            ceiling := s[3] + top - tenancy_quota_muldiv_up(s[4], edge - at, length);
    END CASE;
END
$$;
-- +goose StatementEnd

-- +goose StatementBegin
-- When n more units have room, if no others are used until then: 2^63 - 1 for never.
CREATE FUNCTION tenancy_quota_retry(s bigint[], w jsonb, used bigint, n bigint, at bigint) RETURNS bigint LANGUAGE plpgsql IMMUTABLE AS $$
DECLARE
    length bigint := (w->>'length')::bigint;
    top    bigint := (w->>'limit')::bigint;
    never  CONSTANT bigint := 9223372036854775807;
    before bigint;
    room   bigint;
    ending bigint;
BEGIN
    at := greatest(at, s[2]);
    IF w->>'roll' = 'calendar' THEN
        RETURN CASE WHEN used - s[3] + n <= top THEN at WHEN n <= top THEN s[4] ELSE never END;
    ELSIF w->>'roll' = 'strict' THEN
        length := length / 8;
        FOR i IN 0 .. 8 LOOP
            IF s[3 + (at / length - 8 + i) % 9] + top - used >= n THEN
                RETURN greatest(at, (at / length + i) * length);
            END IF;
        END LOOP;
        RETURN CASE WHEN n <= top THEN (at / length + 9) * length ELSE never END;
    END IF;
    ending := at - at % length + length;
    before := s[4];
    room := top - (used - s[3]) - n;
    IF room < 0 THEN
        IF n > top THEN
            RETURN never;
        END IF;
        ending := ending + length; -- of the window after
        before := used - s[3];
        room := top - n;
    END IF;
    IF before <= room THEN
        RETURN greatest(at, ending - length);
    END IF;
    RETURN greatest(at, ending - tenancy_quota_muldiv(room, length, before));
END
$$;
-- +goose StatementEnd

-- +goose StatementBegin
-- The state s without n units that were used at the time since, where they were counted.
CREATE FUNCTION tenancy_quota_refund(s bigint[], w jsonb, used bigint, n bigint, since bigint, at bigint) RETURNS bigint[] LANGUAGE plpgsql IMMUTABLE AS $$
DECLARE
    length bigint := (w->>'length')::bigint;
    part   int;
BEGIN
    at := greatest(at, s[2]);
    IF w->>'roll' = 'calendar' THEN
        IF since >= s[5] THEN
            s[3] := least(used, s[3] + n);
        END IF;
    ELSIF w->>'roll' = 'strict' THEN
        length := length / 8;
        FOR i IN 0 .. 8 LOOP
            IF (at / length - i) * length <= since THEN
                part := 3 + (at / length - i) % 9;
                s[part] := least(used, s[part] + n);
            END IF;
        END LOOP;
    ELSIF at / length = since / length THEN
        s[3] := least(used, s[3] + n);
    ELSIF at / length = since / length + 1 THEN
        s[4] := greatest(0, s[4] - n);
    END IF;
    RETURN s;
END
$$;
-- +goose StatementEnd
