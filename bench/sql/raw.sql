-- The raw limit: what record_order, redeem_points and the like leave in the database, written by
-- one PL/pgSQL function per transaction. No rule of the business is checked beyond what keeps the
-- rows right; whoever is faster than this does less.

-- A fact of a member: the subject's counter and a row of the log.
create or replace function bench_event(member text, kind text, facts jsonb, at timestamptz)
returns void language plpgsql as $$
declare
  next bigint;
begin
  insert into event_subjects as head (subject, version) values (member, 1)
  on conflict (subject) do update set version = head.version + 1
  returning version into next;
  insert into outbox (event_id, type, subject, subject_version, occurred_at, data)
  values (gen_random_uuid(), kind, member, next, at, facts);
end $$;

create or replace function bench_earn(number bigint)
returns text language plpgsql as $$
declare
  member text := 'mem_' || lpad(number::text, 26, '0');
  at timestamptz := clock_timestamp();
  key text := gen_random_uuid()::text;
  order_id text := 'SO-' || key;
  lot text := 'lot_' || left(replace(key, '-', ''), 26);
  account accounts;
  chained bytea;
  reply text;
begin
  select * into account from accounts where member_id = member for update;
  chained := sha256(coalesce(account.entry_hash, ''::bytea)
    || convert_to(concat_ws(',', member, account.entry_seq + 1, 25, order_id, at), 'UTF8'));
  reply := format('{"order_id":"%s","member_id":"%s","state":"paid","paid_fen":2590,'
    '"discount_fen":300,"refunded_fen":0,"points":{"earned":25,"clawed_back":0,'
    '"status":"pending","available_at":null,"expires_at":null},"growth":25,'
    '"tier":{"code":"regular","name":"普通会员"},"paid_at":"2026-11-23T04:00:00Z",'
    '"completed_at":null,"recorded_at":"%s"}', order_id, member, at);
  insert into idempotency_keys (scope, key, fingerprint, status, media_type, body, created_at)
  values ('api_key:0123456789ab record_order', key, sha256(convert_to(key, 'UTF8')), 201,
    'application/json', convert_to(reply, 'UTF8'), at);
  insert into orders (order_id, member_id, state, paid_fen, discount_fen, refunded_fen, items,
    channel, payer_hash, facts_hash, programme_version, multiplier_percent, earned_points,
    clawed_back_points, growth, tier_at_recording, refunded_at_recording_fen, paid_at, recorded_at)
  values (order_id, member, 'paid', 2590, 300, 0,
    '[{"sku":"SERUM-30ML","category":"skincare","quantity":1,"paid_fen":1990},'
    '{"sku":"MASK-5","category":"skincare","quantity":2,"paid_fen":600}]',
    'mini_program', encode(sha256(convert_to(member, 'UTF8')), 'hex'),
    sha256(convert_to(order_id, 'UTF8')), 1, 100, 25, 0, 25, account.tier_code, 0, at, at);
  insert into point_lots (member_id, id, cause_kind, cause_id, state, points, remaining,
    programme_version, created_at)
  values (member, lot, 'order', order_id, 'pending', 25, 25, 1, at);
  insert into point_entries (member_id, seq, kind, debit_account, credit_account, points,
    available_after, pending_after, held_after, debt_after, cause_kind, cause_id,
    programme_version, occurred_at, recorded_at, actor, previous_hash, hash)
  values (member, account.entry_seq + 1, 'earned', 'issued', 'pending', 25, account.available,
    account.pending + 25, account.held, account.debt, 'order', order_id, 1, at, at,
    'api_key:0123456789ab', account.entry_hash, chained);
  insert into lot_allocations (member_id, entry_seq, lot_id, points)
  values (member, account.entry_seq + 1, lot, 25);
  insert into growth_entries (member_id, cause_kind, cause_id, growth, programme_version,
    occurred_at)
  values (member, 'order', order_id, 25, 1, at);
  update accounts set pending = pending + 25, growth = growth + 25, entry_seq = entry_seq + 1,
    entry_hash = chained
  where member_id = member;
  perform bench_event(member, 'order.paid.v1', jsonb_build_object('order_id', order_id,
    'member_id', member, 'paid_fen', 2590, 'discount_fen', 300, 'paid_at', at,
    'channel', 'mini_program', 'device_id', null,
    'payer_hash', encode(sha256(convert_to(member, 'UTF8')), 'hex')), at);
  perform bench_event(member, 'points.earned.v1', jsonb_build_object('member_id', member,
    'points', 25, 'status', 'pending', 'available_at', null, 'expires_at', null,
    'cause_kind', 'order', 'cause_id', order_id), at);
  return reply;
end $$;

create or replace function bench_redeem(number bigint)
returns text language plpgsql as $$
declare
  member text := 'mem_' || lpad(number::text, 26, '0');
  at timestamptz := clock_timestamp();
  key text := gen_random_uuid()::text;
  redemption text := 'rdm_' || left(replace(key, '-', ''), 26);
  wanted bigint := 30;
  missing bigint := wanted;
  part bigint;
  account accounts;
  lot record;
  paid text[] := '{}';
  parts bigint[] := '{}';
  chained bytea;
  reply text;
begin
  select * into account from accounts where member_id = member for update;
  if account.available < wanted then
    raise exception 'insufficient points of %', member;
  end if;
  -- By member first and in the order of use, so that the partial index finds the few that pay.
  for lot in
    select id, remaining from point_lots
    where member_id = member and state = 'available' and remaining > 0
    order by expires_at, created_at, id
  loop
    part := least(lot.remaining, missing);
    update point_lots set remaining = remaining - part,
      state = case when remaining = part then 'closed' else state end
    where member_id = member and id = lot.id;
    paid := paid || lot.id;
    parts := parts || -part;
    missing := missing - part;
    exit when missing = 0;
  end loop;
  chained := sha256(coalesce(account.entry_hash, ''::bytea)
    || convert_to(concat_ws(',', member, account.entry_seq + 1, wanted, redemption, at), 'UTF8'));
  insert into point_entries (member_id, seq, kind, debit_account, credit_account, points,
    available_after, pending_after, held_after, debt_after, cause_kind, cause_id,
    programme_version, occurred_at, recorded_at, actor, previous_hash, hash)
  values (member, account.entry_seq + 1, 'redeemed', 'available', 'redeemed', wanted,
    account.available - wanted, account.pending, account.held, account.debt, 'redemption',
    redemption, 1, at, at, 'api_key:0123456789ab', account.entry_hash, chained);
  insert into lot_allocations (member_id, entry_seq, lot_id, points)
  select member, account.entry_seq + 1, lot_id, points from unnest(paid, parts) as t(lot_id, points);
  insert into redemptions (id, member_id, state, points, purpose, reference, created_at, closed_at)
  values (redemption, member, 'redeemed', wanted, 'checkout', 'SO-' || key, at, at);
  update accounts set available = available - wanted, entry_seq = entry_seq + 1,
    entry_hash = chained
  where member_id = member;
  reply := format('{"id":"%s","member_id":"%s","state":"redeemed","points":30,'
    '"purpose":"checkout","reference":"SO-%s","created_at":"%s","balances":{"available":%s,'
    '"pending":%s,"held":%s,"debt":%s},"lots":[{"id":"%s","points":-30}]}', redemption, member,
    key, at, account.available - wanted, account.pending, account.held, account.debt, paid[1]);
  insert into idempotency_keys (scope, key, fingerprint, status, media_type, body, created_at)
  values ('api_key:0123456789ab redeem_points', key, sha256(convert_to(key, 'UTF8')), 201,
    'application/json', convert_to(reply, 'UTF8'), at);
  perform bench_event(member, 'points.redeemed.v1', jsonb_build_object('member_id', member,
    'redemption_id', redemption, 'points', wanted, 'purpose', 'checkout'), at);
  return reply;
end $$;

create or replace function bench_refund(number bigint)
returns text language plpgsql as $$
declare
  member text := 'mem_' || lpad(number::text, 26, '0');
  about text := 'F-' || number || '-' || (1 + floor(random() * 5))::int;
  at timestamptz := clock_timestamp();
  key text := gen_random_uuid()::text;
  refund text := 'RF-' || key;
  taken bigint := 1;
  account accounts;
  known orders;
  lot point_lots;
  chained bytea;
  reply text;
begin
  perform pg_advisory_xact_lock(hashtextextended(about, 42));
  select * into account from accounts where member_id = member for update;
  select * into known from orders where order_id = about;
  if known.refunded_fen + 100 > known.paid_fen then
    raise exception 'refund exceeds payment of %', about;
  end if;
  -- From the order's own lot, or from the next that still has something.
  select * into lot from point_lots
  where cause_kind = 'order' and cause_id = about and member_id = member and remaining > 0;
  if not found then
    select * into lot from point_lots
    where member_id = member and state = 'available' and remaining > 0
    order by expires_at, created_at, id limit 1;
  end if;
  if not found then
    raise exception 'nothing to take back of %', member;
  end if;
  update point_lots set remaining = remaining - taken,
    state = case when remaining = taken then 'closed' else state end
  where member_id = member and id = lot.id;
  chained := sha256(coalesce(account.entry_hash, ''::bytea)
    || convert_to(concat_ws(',', member, account.entry_seq + 1, taken, refund, at), 'UTF8'));
  insert into point_entries (member_id, seq, kind, debit_account, credit_account, points,
    available_after, pending_after, held_after, debt_after, cause_kind, cause_id,
    programme_version, occurred_at, recorded_at, actor, previous_hash, hash)
  values (member, account.entry_seq + 1, 'clawed_back', 'available', 'clawed_back', taken,
    account.available - taken, account.pending, account.held, account.debt, 'refund', refund, 1,
    at, at, 'api_key:0123456789ab', account.entry_hash, chained);
  insert into lot_allocations (member_id, entry_seq, lot_id, points)
  values (member, account.entry_seq + 1, lot.id, -taken);
  update accounts set available = available - taken, growth = growth - 1,
    entry_seq = entry_seq + 1, entry_hash = chained
  where member_id = member;
  update orders set refunded_fen = refunded_fen + 100,
    clawed_back_points = clawed_back_points + taken
  where order_id = about;
  update growth_entries set growth = (known.paid_fen - known.refunded_fen - 100) / 100
  where member_id = member and cause_kind = 'order' and cause_id = about;
  insert into refunds (refund_id, order_id, member_id, amount_fen, facts_hash, applied_fen,
    refunded_total_fen, clawed_back_points, debt_points, returned_points, growth, refunded_at,
    recorded_at, applied_at)
  values (refund, about, member, 100, sha256(convert_to(refund, 'UTF8')), 100,
    known.refunded_fen + 100, taken, 0, 0, 1, at, at, at);
  reply := format('{"refund_id":"%s","order_id":"%s","member_id":"%s","status":"applied",'
    '"amount_fen":100,"applied_fen":100,"refunded_total_fen":%s,"points":{"clawed_back":1,'
    '"debt":0,"returned":0},"growth":1,"items_match":null,'
    '"refunded_at":"2026-11-23T04:00:00Z","recorded_at":"%s"}', refund, about, member,
    known.refunded_fen + 100, at);
  insert into idempotency_keys (scope, key, fingerprint, status, media_type, body, created_at)
  values ('api_key:0123456789ab refund_order', key, sha256(convert_to(key, 'UTF8')), 201,
    'application/json', convert_to(reply, 'UTF8'), at);
  perform bench_event(member, 'order.refunded.v1', jsonb_build_object('order_id', about,
    'refund_id', refund, 'member_id', member, 'amount_fen', 100, 'refunded_total_fen',
    known.refunded_fen + 100, 'in_full', false, 'refunded_at', at), at);
  perform bench_event(member, 'points.clawed_back.v1', jsonb_build_object('member_id', member,
    'order_id', about, 'refund_id', refund, 'points', taken, 'debt', 0), at);
  return reply;
end $$;
