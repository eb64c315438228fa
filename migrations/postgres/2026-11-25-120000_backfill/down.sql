drop table imported_conversations;
drop table backfill_lists;
