-- Members number {first} to {last} with {lots} completed orders each: for every order a lot of
-- {points} points that is available now, its `earned` and `released` entries, the allocation and
-- growth. Hashes are random, numbers of entries dense, balances right. Growth is kept low, so that
-- nobody changes tier while they are measured.
with numbered as (
  select n, 'mem_' || lpad(n::text, 26, '0') as member_id
  from generate_series({first}::bigint, {last}::bigint) as n
)
insert into members (id, state, nickname, tags, consents, created_at, updated_at)
select member_id, 'active', '会员' || n, '[]', '{{}}', now() - interval '400 days', now()
from numbered;

insert into accounts (member_id, available, pending, held, debt, growth, tier_code, tier_floor,
  tier_since, entry_seq, entry_hash)
select 'mem_' || lpad(n::text, 26, '0'), {lots} * {points}, 0, 0, 0, {lots} * 20, '{tier}',
  '{tier}', now() - interval '400 days', 2 * {lots}, sha256(int8send(n) || int8send(2 * {lots}))
from generate_series({first}::bigint, {last}::bigint) as n;

insert into event_subjects (subject, version)
select 'mem_' || lpad(n::text, 26, '0'), 3 * {lots}
from generate_series({first}::bigint, {last}::bigint) as n;

insert into orders (order_id, member_id, state, paid_fen, discount_fen, refunded_fen, items,
  channel, payer_hash, facts_hash, programme_version, multiplier_percent, earned_points,
  clawed_back_points, growth, tier_at_recording, refunded_at_recording_fen, paid_at, completed_at,
  recorded_at)
select 'F-' || n || '-' || i, 'mem_' || lpad(n::text, 26, '0'), 'completed', {points} * 100, 0, 0,
  '[{{"sku":"SERUM-30ML","category":"skincare","quantity":1,"paid_fen":1990}}]', 'mini_program',
  encode(sha256(int8send(n)), 'hex'), sha256(int8send(n * 100 + i)), 1, 100, {points}, 0, 20,
  '{tier}', 0, at, at + interval '3 days', at
from generate_series({first}::bigint, {last}::bigint) as n, generate_series(1, {lots}) as i,
  lateral (select now() - interval '300 days' + i * interval '20 days' as at) as moments;

insert into growth_entries (member_id, cause_kind, cause_id, growth, programme_version, occurred_at)
select 'mem_' || lpad(n::text, 26, '0'), 'order', 'F-' || n || '-' || i, 20, 1,
  now() - interval '300 days' + i * interval '20 days'
from generate_series({first}::bigint, {last}::bigint) as n, generate_series(1, {lots}) as i;

insert into point_lots (member_id, id, cause_kind, cause_id, state, points, remaining, available_at,
  expires_at, programme_version, created_at)
select 'mem_' || lpad(n::text, 26, '0'), 'lot_' || lpad(i::text, 26, '0'), 'order',
  'F-' || n || '-' || i, 'available', {points}, {points}, at + interval '10 days',
  at + interval '375 days', 1, at
from generate_series({first}::bigint, {last}::bigint) as n, generate_series(1, {lots}) as i,
  lateral (select now() - interval '300 days' + i * interval '20 days' as at) as moments;

insert into point_entries (member_id, seq, kind, debit_account, credit_account, points,
  available_after, pending_after, held_after, debt_after, cause_kind, cause_id, programme_version,
  occurred_at, recorded_at, actor, previous_hash, hash)
select 'mem_' || lpad(n::text, 26, '0'), seq,
  case when seq % 2 = 1 then 'earned' else 'released' end,
  case when seq % 2 = 1 then 'issued' else 'pending' end,
  case when seq % 2 = 1 then 'pending' else 'available' end,
  {points}, (seq / 2) * {points}, (seq % 2) * {points}, 0, 0, 'order',
  'F-' || n || '-' || (seq + 1) / 2, 1, at, at, 'api_key:0123456789ab',
  case when seq > 1 then sha256(int8send(n) || int8send(seq - 1)) end,
  sha256(int8send(n) || int8send(seq))
from generate_series({first}::bigint, {last}::bigint) as n,
  generate_series(1::bigint, 2 * {lots}) as seq,
  lateral (select now() - interval '300 days' + seq * interval '10 days' as at) as moments;

insert into lot_allocations (member_id, entry_seq, lot_id, points)
select 'mem_' || lpad(n::text, 26, '0'), 2 * i - 1, 'lot_' || lpad(i::text, 26, '0'), {points}
from generate_series({first}::bigint, {last}::bigint) as n, generate_series(1, {lots}) as i
