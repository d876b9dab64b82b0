"""The contract can fail: stores with one planted fault each, and the tests that must find it."""

from __future__ import annotations

import importlib
from collections.abc import Iterable

import pytest

from a2a_session_manager.testing import StoreContract
from a2a_session_manager.testing.contract import making

# Fault → the parts of the contract it is run against, and a test that speaks of that fault.
FAULTS = {
    "LosesAConcurrentWrite": ("racing", "test_64_tasks_lose_no_concurrent_write_and_keep_each_tasks_order"),
    "HandsOutLiveObjects": ("copies", "test_an_unsaved_change_does_not_reach_the_store"),
    "OrdersByClock": ("appending", "test_events_stand_in_the_order_of_their_commits_whatever_their_clocks_say"),
    "ShortensACorruptSession": ("corruption", "test_corruption_never_makes_a_shorter_conversation"),
    "TakesCorruptionForAbsence": (
        "corruption",
        "test_a_damaged_event_is_corruption_to_every_reader_of_it_and_never_absence",
    ),
    "CutsWhatIsWhole": ("corruption", "test_nothing_is_cut_from_a_healthy_session"),
    "BlocksTheLoop": ("lifecycle", "test_no_verb_blocks_the_loop"),
    "IgnoresLast": ("reading", "test_get_loads_the_last_n_events_and_no_more"),
    "LeavesOutHiddenEvents": (
        "reading",
        "test_hidden_events_come_when_they_are_asked_for_wherever_a_page_ends",
    ),
    "ShowsHiddenMessages": ("reading_messages", "test_messages_are_those_of_the_newest_visible_events"),
    "LeavesOutDamagedMessages": (
        "reading_messages",
        "test_a_damaged_event_is_corruption_when_messages_are_read",
    ),
    "ReadsMessagesOutOfOrder": ("views", "test_what_several_wrote_at_once_comes_back_as_a_model_takes_it"),
    "ForgetsWhoseMessagesTheyAre": ("views", "test_a_tool_answers_the_open_call_of_its_own_run"),
    "ForgetsWhoseAFewMessagesAre": (
        "views",
        "test_a_window_gives_a_result_to_the_call_of_its_run_wherever_that_is",
    ),
    "TakesEveryEventForAMessage": ("views", "test_what_several_wrote_at_once_comes_back_as_a_model_takes_it"),
    "SortsKeysOfMessages": ("views", "test_what_several_wrote_at_once_comes_back_as_a_model_takes_it"),
    "TellsOfNoRuns": ("views", "test_what_several_wrote_at_once_comes_back_as_a_model_takes_it"),
    "SumsNoRuns": ("views", "test_a_tool_answers_the_open_call_of_its_own_run"),
    "ReadsNothingEarlier": ("views", "test_a_window_is_of_whole_turns_and_within_its_budget"),
    "ReadsMessagesOfBefore": ("views", "test_a_result_that_comes_while_repairing_is_the_only_one"),
    "AppendsUnguarded": ("views", "test_a_result_that_comes_while_repairing_is_the_only_one"),
    "KeepsEveryAppend": ("views", "test_repairing_writes_once_what_views_assume"),
    "LosesMetadata": ("views", "test_repairing_writes_once_what_views_assume"),
    "ForgetsPins": ("compacting", "test_what_is_not_over_and_what_the_system_says_stay_as_they_are"),
    "CoversWhatLandedMeanwhile": ("compacting", "test_what_lands_meanwhile_is_shown_after_it"),
    "KeepsTheFirstCompaction": ("compactions_ended", "test_retracting_its_event_undoes_it_to_the_byte"),
    "TakesTheNewestCompaction": ("compactions_ended", "test_of_two_at_once_the_one_that_reaches_further_counts"),
    "ShowsTwoSummaries": ("compactions_ended", "test_retracting_its_event_undoes_it_to_the_byte"),
    "RevivesCompactions": (
        "compactions_ended",
        "test_a_retraction_in_its_range_ends_it_for_good_and_the_one_before_counts_again",
    ),
    "TakesOutdatedSummaries": (
        "compactions_ended",
        "test_what_is_retracted_while_it_is_summarised_makes_it_summarise_again",
    ),
    "CountsCoveredEvents": (
        "compacting",
        "test_a_summary_takes_the_place_of_what_it_stands_for_and_the_log_stays",
    ),
    "LeavesSummariesWhereTheyAre": (
        "compacting",
        "test_a_summary_without_a_range_stands_where_its_commit_has_hidden",
    ),
    "ForgetsWhatDoesNotFit": ("reading", "test_large_events_all_come_in_pages_of_few"),
    "ShowsLaterRetractions": ("forks_apart", "test_nothing_that_either_does_later_shows_in_the_other"),
    "SharesStateWithForks": ("forks_apart", "test_nothing_that_either_does_later_shows_in_the_other"),
    "DoublesInheritedIds": (
        "forks_apart",
        "test_an_inherited_event_is_known_and_comes_back_with_its_old_seq",
    ),
    "KnowsTheSourcesWriteIds": ("forks_apart", "test_write_ids_and_runs_stay_with_the_source"),
    "TellsNotWhatForksHide": (
        "forks_apart",
        "test_a_follower_of_a_fork_crosses_the_border_and_hears_nothing_of_the_source",
    ),
    "TakesForksForChildren": (
        "forks_in_trees",
        "test_forks_are_listed_apart_from_children_and_all_are_in_the_tree",
    ),
    "DeletesSourcesOfForks": (
        "forks_in_trees",
        "test_what_has_forks_is_not_deleted_without_them_and_they_are_named",
    ),
    "SpendsInheritedUsageAgain": (
        "forks_spending",
        "test_a_fork_begins_at_nothing_and_the_tree_counts_each_request_once",
    ),
    "CountsInheritedResponsesAnew": (
        "forks_spending",
        "test_a_response_that_was_counted_before_the_fork_adds_only_what_exceeds_that",
    ),
    "CountsWhatTheSourceCountsLater": (
        "forks_spending",
        "test_what_the_source_counts_of_a_response_later_does_not_show_in_the_fork",
    ),
    "ForgetsCompactionsInForks": (
        "forks_in_views",
        "test_a_compaction_up_to_the_point_counts_in_the_fork_whatever_becomes_of_it_in_the_source",
    ),
    "ReadsOnToWhatIsHidden": (
        "forks_in_views",
        "test_what_was_said_and_retracted_after_the_point_is_nothing_to_the_fork",
    ),
    "ForksInsideExchanges": (
        "forks_in_views",
        "test_a_point_inside_an_exchange_is_refused_with_the_open_calls_named",
    ),
    "CountsCopiesAgain": ("forks_detached", "test_what_a_copy_holds_was_spent_in_the_source"),
    "CopiesUpToWhatIsNewestNow": (
        "forks_detached",
        "test_a_copy_up_to_the_newest_event_that_was_killed_ends_where_it_was_to_end",
    ),
    "TakesHalfACopyForTheWhole": (
        "forks_detached",
        "test_a_copy_that_was_killed_says_so_and_goes_on_where_it_stopped",
    ),
    "TakesAnySessionForTheFork": ("forking", "test_forking_again_under_one_id_returns_the_fork_that_is_there"),
    "RestoresTooMuch": ("restoring", "test_a_restored_event_is_visible_again_where_it_stood"),
    "RestoresWhatAnotherHid": (
        "restoring",
        "test_what_was_restored_since_and_hidden_by_another_is_not_the_first_ones_to_undo",
    ),
    "ForgetsWhatWasPopped": ("restoring", "test_events_that_a_pop_claimed_come_back_by_their_ids_alone"),
    "MovesWhatItRestores": ("restoring", "test_a_restored_event_is_visible_again_where_it_stood"),
    "FollowsWithoutRestorations": (
        "restoring_beside",
        "test_a_follower_is_told_of_restorations_in_their_places_live_and_replayed",
    ),
    "ReadsWithoutRestorations": ("restoring", "test_retractions_and_restorations_alternate_any_number_of_times"),
    "CountsRestoredUsageAgain": ("restoring_beside", "test_restoring_leaves_tokens_and_cost_counted_once"),
    "PassesOverWhatCannotBeRestored": (
        "restoring",
        "test_what_cannot_be_restored_is_refused_by_name_and_nothing_is_written",
    ),
    "RestoresOnRetry": ("restoring_beside", "test_a_repeat_answers_with_the_first_result_and_changes_nothing"),
    "IgnoresPageLimits": ("listing", "test_pages_keep_to_their_limit_and_join_to_the_whole"),
    "SortsByCreation": ("paging", "test_pages_of_each_order_join_to_the_whole_with_each_limit"),
    "ShowsChildrenAsRoots": ("paging", "test_pages_of_each_order_join_to_the_whole_with_each_limit"),
    "LosesTheLastOfAPage": ("paging", "test_pages_of_each_order_join_to_the_whole_with_each_limit"),
    "CountsPages": (
        "paging",
        "test_sessions_that_stay_are_on_one_page_each_while_others_come_go_and_move",
    ),
    "FindsByTheFirstOwner": ("finding_sessions", "test_sessions_are_found_by_the_properties_that_they_have_now"),
    "ReadsTitlesAsTheyAre": ("finding_sessions", "test_titles_are_found_by_any_part_whatever_the_case"),
    "ShowsHiddenInHeads": ("heads", "test_a_head_shows_what_its_session_shows"),
    "TakesPropertiesForActivity": ("paging", "test_only_activity_moves_a_session_to_the_front"),
    "CountsWhatIsGone": (
        "paging",
        "test_what_is_deleted_is_on_no_page_and_not_counted_and_its_id_may_come_again",
    ),
    "TakesAnyCursor": ("finding_sessions", "test_a_cursor_is_of_its_query_alone"),
    "FindsByAnything": ("finding_sessions", "test_what_cannot_be_asked_for_is_refused_by_name"),
    "TellsNoPropertyChanges": ("following_namespaces", "test_what_comes_changes_and_goes_is_told"),
    "FollowsNamespacesFromNow": (
        "following_namespaces",
        "test_what_is_as_it_was_on_the_page_is_not_told",
    ),
    "DoublesOnRetry": ("exactly_once", "test_a_repeated_append_after_another_writer_doubles_nothing"),
    "EchoesAKnownEvent": ("repeating", "test_a_known_id_answers_with_the_event_as_it_is_stored"),
    "ForgetsWriteIds": (
        "losing_replies",
        "test_a_write_retried_after_a_lost_reply_and_another_writer_changes_nothing_more",
    ),
    "FollowsFromTheStart": ("following", "test_following_from_an_event_that_is_not_there_is_refused"),
    "TakesEveryRevisionForTheSame": (
        "following",
        "test_following_ends_when_the_session_was_restored_and_got_other_events_since",
    ),
    "CountsEveryCommitTwice": ("statistics", "test_each_commit_is_counted_once_and_creations_are_not"),
    "ForgetsWhatItHasCounted": ("statistics", "test_counters_never_go_back"),
    "TellsNothingOnceClosed": ("statistics", "test_statistics_and_repr_are_there_in_every_stage_of_a_store"),
    "LogsWhatItWrites": ("statistics", "test_no_payload_is_in_what_a_store_logs_whatever_it_refuses"),
    "StaysOpenWhenClosed": ("statistics", "test_a_closed_store_holds_nothing_open_and_has_forgotten_nothing"),
    "GoesByTheClock": (
        "activity",
        "test_the_time_of_the_last_activity_never_goes_back_and_is_returned_as_it_is_stored",
    ),
    "MendsTornKeys": ("payloads", "test_a_lone_surrogate_is_kept_in_a_key_as_in_a_value"),
    "RefusesMisfits": (
        "reading",
        "test_a_payload_of_another_type_comes_back_as_plain_json_with_the_reason",
    ),
    "SumsLookExact": ("usage", "test_what_makes_a_sum_a_lower_bound_is_counted"),
    "SumsTokensAlone": ("usage", "test_what_is_paid_by_use_is_summed_beside_the_tokens"),
    "ForgetsMissingUsages": ("usage", "test_what_makes_a_sum_a_lower_bound_is_counted"),
    "RoundsLargeSums": ("usage", "test_the_largest_usages_are_summed_exactly"),
    "LeaksHolds": ("budgets", "test_a_hold_is_settled_in_the_commit_of_its_usage"),
    "SettlesByEventsAlone": ("budgets", "test_a_hold_is_settled_in_the_commit_of_its_usage"),
    "SettlesTwice": ("budgets", "test_an_event_with_the_id_of_a_hold_settles_it_and_so_does_a_late_one"),
    "LosesHolds": ("budgets", "test_nothing_gives_back_what_was_spent"),
    "RefundsDeletedSessions": ("budgets", "test_nothing_gives_back_what_was_spent"),
    "KeepsGrantsOfTheDeleted": ("budgets_set", "test_a_grant_is_held_out_of_what_is_above_and_returns"),
    "FreesWhatExpired": ("budgets", "test_what_nobody_settled_counts_as_estimated_until_it_is_voided"),
    "SkipsALevel": ("budgets", "test_every_level_is_asked_and_none_holds_what_another_refuses"),
    "HoldsTwice": ("budgets", "test_the_same_hold_again_is_held_once_and_a_released_one_no_more"),
    "HoldsAgainAfterALostReply": (
        "budgets_disturbed",
        "test_a_block_whose_replies_are_lost_is_made_up_for_by_a_retry",
    ),
    "GivesNothingBack": (
        "budgets_disturbed",
        "test_a_block_cancelled_anywhere_leaves_nothing_that_nobody_knows_of",
    ),
    "ForgetsWhatWasSent": ("budgets", "test_an_event_with_the_id_of_a_hold_settles_it_and_so_does_a_late_one"),
    "VoidsBeforeItTells": (
        "budgets_cancelled",
        "test_a_step_cancelled_anywhere_is_whole_or_absent_and_a_retry_completes_it_once",
    ),
    "FreesWhatWasSent": (
        "budgets_disturbed",
        "test_spent_is_above_a_limit_by_no_more_than_requests_cost_more_than_was_held",
    ),
    "BeginsAnewWithoutBudgets": (
        "budgets_disturbed",
        "test_what_is_held_outlives_its_session_and_the_budgets_of_that",
    ),
    "CountsLateUsageInNoWindow": (
        "budgets_disturbed",
        "test_what_a_run_spends_that_was_taken_over_counts_in_limits_and_windows",
    ),
    "CountsEveryUsage": ("counting_once", "test_a_response_counts_once_in_one_commit_and_in_many"),
    "LosesTheExcess": (
        "counting_once",
        "test_a_later_usage_adds_what_exceeds_those_before_to_its_own_model_and_run",
    ),
    "ComparesWithTheLastUsage": (
        "counting_once",
        "test_a_later_usage_adds_what_exceeds_those_before_to_its_own_model_and_run",
    ),
    "TakesBackWhatWasLess": (
        "counting_once",
        "test_a_later_usage_adds_what_exceeds_those_before_to_its_own_model_and_run",
    ),
    "ForgetsWhatItCounted": (
        "counting_once",
        "test_what_was_counted_is_remembered_by_a_store_that_is_opened_again",
    ),
    "RemembersTheNewestResponse": (
        "counting_once",
        "test_what_was_counted_is_remembered_by_a_store_that_is_opened_again",
    ),
    "GivesTheExcessToAnotherModel": (
        "counting_once",
        "test_two_models_of_one_response_make_its_cost_a_lower_bound",
    ),
    "SaysNothingOfRepeats": ("counting_once", "test_a_response_counts_once_in_one_commit_and_in_many"),
    "TellsNoWriterWhatItCounted": ("counting_once", "test_a_handle_knows_what_was_counted"),
    "LimitsBeforeItFilters": ("finding", "test_filters_bring_the_events_that_fit_and_limits_count_those"),
    "FiltersByTheHour": ("finding", "test_filters_bring_the_events_that_fit_and_limits_count_those"),
    "FindsInItsOwnOrder": ("finding", "test_events_come_by_their_ids_in_the_order_asked"),
    "ForgetsUnreadEvents": ("finding", "test_events_come_by_their_ids_in_the_order_asked"),
    "FindsHiddenEventsUnmarked": ("finding", "test_events_come_by_their_ids_in_the_order_asked"),
    "FindsAnotherEvent": ("finding", "test_events_come_by_their_ids_in_the_order_asked"),
    "AnswersWhenClosed": ("lifecycle", "test_a_closed_store_is_unavailable_to_every_verb"),
    "LosesTheUsersTitle": ("titles", "test_a_title_that_a_user_gives_meanwhile_stays"),
    "IgnoresTheGuard": ("guarding", "test_a_late_guarded_commit_conflicts_and_tells_what_it_missed"),
    "GuardsByNumberAlone": (
        "guarding",
        "test_a_guard_does_not_pass_when_its_revision_has_come_again_after_a_restore",
    ),
    "KnowsNoOtherStore": ("saving_elsewhere", "test_what_was_read_through_one_store_is_saved_through_another"),
    "DeletesInTwoSteps": ("deleting", "test_a_guarded_delete_deletes_no_commit_that_comes_at_the_same_time"),
    "JoinsNamespaceAndId": (
        "namespaces",
        "test_namespaces_and_ids_that_look_alike_when_joined_stay_apart",
    ),
    "RebuildsShort": ("reindexing", "test_an_index_that_is_made_anew_finds_the_same_sessions"),
    "ForgetsWhenImportsWereActive": (
        "moving",
        "test_a_tree_that_went_through_other_stores_is_the_same_bundle",
    ),
    "TellsOfLaterRetractions": ("moving", "test_a_bundle_has_each_session_as_it_was_at_one_moment"),
    "LetsSeveralClaim": ("claiming", "test_of_several_who_claim_a_session_one_gets_it"),
    "DeletesWhatCameMeanwhile": ("claiming", "test_a_claim_moves_all_of_a_tree_and_what_is_written_meanwhile"),
    "DoublesWhatWasBroughtBefore": (
        "moving",
        "test_an_import_that_is_cut_off_anywhere_goes_on_as_if_it_had_run_once",
    ),
    "ForgetsWhatStays": ("expiring", "test_a_session_created_to_stay_outlives_those_that_expire"),
    "PutsWhatStaysBelowWhatExpires": ("expiring", "test_nothing_is_made_to_stay_below_what_expires"),
    "PrunesInADryRun": ("pruning", "test_trees_idle_for_long_go_and_a_dry_run_tells_which"),
    "KeepsFewerThanAsked": ("pruning", "test_the_trees_that_were_active_last_stay_whatever_else_is_asked"),
    "PrunesEverybodys": ("pruning", "test_only_trees_whose_roots_have_the_properties_are_considered"),
    "PrunesWhatCameAlive": ("pruning", "test_what_came_alive_since_it_was_judged_stays"),
    "PrunesNewChildren": ("pruning", "test_what_came_alive_since_it_was_judged_stays"),
    "ForgetsWhatIsPruned": ("pruning", "test_idle_branches_go_when_asked_for_and_their_spend_stays"),
    "PrunesHeldRuns": ("pruning", "test_a_tree_in_which_somebody_holds_a_run_stays"),
    "TakesNoRoom": ("pruning", "test_what_is_above_a_size_goes_that_was_idle_longest_first"),
    "JoinsNames": ("namespaces", "test_namespaces_nest_and_each_has_sessions_of_its_own"),
    "LeadsToAnyNamespace": ("namespaces", "test_a_view_of_one_namespace_leads_down_and_to_no_other"),
    "ListsEmptyNamespaces": ("namespaces", "test_a_namespace_is_listed_while_it_holds_a_session"),
    "ListsNoOuterNamespaces": ("namespaces", "test_namespaces_are_listed_by_those_directly_above_them"),
    "BringsADeletedSessionBack": ("deleting", "test_a_late_append_brings_no_deleted_session_back"),
    "LetsTwoOwnersWrite": (
        "held_runs",
        "test_after_a_takeover_one_owners_messages_land_and_the_usage_of_both",
    ),
    "TakesANameForAToken": ("leases", "test_a_token_is_that_of_one_acquisition_whoever_the_holder_is"),
    "ForgetsToExpire": ("leases", "test_a_lease_that_has_expired_writes_nothing_and_holds_nobody_up"),
    "RevivesALostLease": ("leases", "test_a_heartbeat_renews_what_is_held_and_brings_no_lost_lease_back"),
    "LosesTheUsageOfARefusedWrite": ("leases", "test_of_a_refused_commit_nothing_lands_but_its_usage"),
    "CountsTheUsageOfARefusedWriteTwice": (
        "held_runs",
        "test_after_a_takeover_one_owners_messages_land_and_the_usage_of_both",
    ),
    "WritesTheRestOfARefusedCommit": ("leases", "test_of_a_refused_commit_nothing_lands_but_its_usage"),
    "LetsManyResume": ("held_runs", "test_a_run_that_waits_is_resumed_by_one_of_many"),
    "SortsSiblingsByName": ("trees", "test_children_stand_in_creation_order"),
    "SortsTreesByName": ("trees", "test_the_tree_lists_all_of_it_in_creation_order_from_any_of_its_sessions"),
    "MakesOrphans": ("trees", "test_a_parent_that_does_not_exist_is_refused_and_no_child_is_made"),
    "PutsChildrenBelowWhoeverHasTheId": (
        "incarnations",
        "test_a_child_through_an_old_handle_is_not_put_below_the_later_session",
    ),
    "LetsEveryCreatorWin": ("racing", "test_one_of_many_creators_of_an_id_wins"),
    "OverwritesATakenId": ("appending", "test_creating_a_taken_id_is_refused_and_harms_nothing"),
    "DeletesALaterSession": ("exactly_once", "test_a_repeated_delete_leaves_a_later_session_of_the_same_id_alone"),
    "SpendsWhatADeletedTreeHasSpent": (
        "usage",
        "test_the_spend_of_a_deleted_root_does_not_count_for_a_later_session_of_its_id",
    ),
    "ListsForksTwice": ("forks_in_trees", "test_pages_of_forks_join_to_the_whole"),
    "AppendsOneByOne": ("appending", "test_one_bad_event_in_a_batch_keeps_the_whole_batch_out"),
    "LeavesOutWhatIsNoJson": ("payloads", "test_a_value_that_is_no_json_is_refused_in_state_and_properties"),
    "SavesOverWhatIsStored": ("saving_refused", "test_a_session_made_by_hand_does_not_overwrite_a_stored_one"),
    "SavesTheStateAlone": ("saving_refused", "test_stored_events_cannot_be_changed_by_a_save"),
    "ReadsALaterSession": ("incarnations", "test_reading_through_an_old_handle_never_brings_the_later_session"),
    "FoldsKeysOfTheState": ("ids", "test_state_keys_of_any_text_stay_apart"),
    "KeepsMilliseconds": ("activity", "test_a_time_is_kept_to_the_microsecond_in_whatever_zone_it_was_said"),
    "GivesAllTheSameId": ("appending", "test_a_session_created_without_an_id_gets_one_of_its_own"),
    "EndsAtAPageOfNothing": ("listing", "test_a_limit_of_0_returns_nothing_and_the_cursor_as_it_was"),
    "StaysOpenAfterItsBlock": ("lifecycle", "test_async_with_closes_the_store"),
    "FollowsTheGivenOneAgain": ("following", "test_following_starts_after_the_given_seq"),
    "TellsEverythingTwice": ("following", "test_a_follower_of_many_writers_gets_everything_once_and_in_order"),
    "FollowsALaterSession": ("following", "test_following_does_not_continue_with_a_later_session_of_the_same_id"),
    "WaitsForWhatWasDeleted": ("following", "test_following_ends_when_the_session_is_deleted"),
    "WaitsForWhatIsNotThere": ("following", "test_following_a_session_that_is_not_there_raises_not_found"),
    "LetsFollowersWaitOnceClosed": ("following", "test_following_ends_when_the_store_is_closed"),
    "RevivesEndedRuns": ("runs", "test_a_run_that_has_ended_stays_ended"),
    "SortsRunsByTheirLastMove": ("runs", "test_runs_keep_the_order_in_which_they_were_first_stored"),
    "WritesWhatItRefuses": ("runs", "test_one_bad_move_keeps_the_whole_commit_out"),
    "CountsWhatItRefuses": ("usage", "test_usage_of_a_refused_commit_is_not_counted"),
    "CountsChildrenAsCommits": ("guarding", "test_linking_a_child_moves_no_revision_of_its_parent"),
    "CountsCommitsOfNothing": ("appending", "test_a_change_of_nothing_changes_nothing"),
    "KnowsWriteIdsOfTheDeleted": ("deleting", "test_a_later_session_of_the_same_id_starts_from_nothing"),
    "ReadsMessagesOfALaterSession": (
        "reading_messages",
        "test_messages_of_a_session_that_was_read_are_never_those_of_a_later_one",
    ),
    "WritesToALaterSession": ("deleting", "test_an_old_handle_never_hits_a_later_session_of_the_same_id"),
    "IgnoresNamespaces": ("namespaces", "test_one_id_in_two_namespaces_is_two_sessions"),
    "MendsTornTexts": ("payloads", "test_a_lone_surrogate_survives_in_every_text_of_an_event_and_a_run"),
    "IsClosedOnce": ("lifecycle", "test_closing_twice_is_fine"),
    "CreatesInTwoSteps": ("payloads", "test_a_session_that_cannot_be_stored_is_not_created"),
    "SavesTheStateAgain": ("saving", "test_saving_an_unchanged_session_writes_nothing"),
    "AppendsBackwards": ("appending", "test_appended_events_come_back_in_the_order_they_were_given"),
    "CommitsInParts": ("appending", "test_one_change_commits_all_its_parts_at_once"),
    "SavesOrphans": ("deleting", "test_a_late_child_of_a_deleted_parent_is_refused_and_brings_neither_back"),
    "FindsNothingBelowTheAbsent": ("trees", "test_walks_over_a_missing_session_say_so"),
    "TakesUnknownPricesForNothing": ("budgets_set", "test_a_price_that_nobody_knows_is_never_0"),
    "TearsAtCancellation": (
        "cancelling",
        "test_a_write_cancelled_anywhere_is_whole_or_absent_and_a_retry_completes_it_once",
    ),
}

# The contract cancels in every way there is; for a fault to show, the plain one is enough.
CANCELLING = {"cancelling", "budgets_cancelled", "budgets_disturbed"}
PLAINLY = "not (double or timeout or scope or TaskGroup)"

MODULE = """
import pytest
from a2a_session_manager.testing.contract.{part} import {mixin}
from a2a_session_manager.storage import InMemorySessionStore
from tests.testing.contract.faulty import *
from tests.testing.contract.faulty_budgets import *
from tests.testing.contract.faulty_compactions import *
from tests.testing.contract.faulty_counting import *
from tests.testing.contract.faulty_expiring import *
from tests.testing.contract.faulty_finding import *
from tests.testing.contract.faulty_following import *
from tests.testing.contract.faulty_forks import *
from tests.testing.contract.faulty_leases import *
from tests.testing.contract.faulty_moving import *
from tests.testing.contract.faulty_namespaces import *
from tests.testing.contract.faulty_pages import *
from tests.testing.contract.faulty_pruning import *
from tests.testing.contract.faulty_reading import *
from tests.testing.contract.faulty_refusals import *
from tests.testing.contract.faulty_restoring import *
from tests.testing.contract.faulty_runs import *
from tests.testing.contract.faulty_sums import *
from tests.testing.contract.faulty_trees import *
from tests.testing.contract.faulty_views import *
from tests.storage.yielding import YieldingStore, damage_first_event

@pytest.mark.asyncio
class TestIt({mixin}):
    is_durable = False

    async def open_store(self, place):
        return {store}()

    async def open_expiring_store(self, place, seconds):
        return {store}() if getattr({store}, "lets_expire", False) else None

    async def damage(self, store, session_id):
        damage_first_event(store, session_id)
"""

STRICT = """
[pytest]
asyncio_mode = strict
asyncio_default_fixture_loop_scope = function
filterwarnings = error
"""


@pytest.fixture(scope="module", autouse=True)
def loaded_prices() -> None:
    """Import what is imported at the first price: a module that comes in during an inner run is forgotten by half."""
    importlib.import_module("genai_prices.data_snapshot")


def outcomes_of(pytester: pytest.Pytester, store: str, part: str, tests: Iterable[str]) -> tuple[set[str], set[str]]:
    """Run tests of one part of the contract, as a stranger would; return those that passed and those that failed."""
    mixin = next(each.__name__ for each in StoreContract.__mro__ if each.__module__.endswith(f".{part}"))
    pytester.makeini(STRICT)
    path = pytester.makepyfile(MODULE.format(part=part, mixin=mixin, store=store))
    # Hypothesis' plugin would import all of it anew in every run.
    options = ["-p", "no:cacheprovider", "-p", "no:hypothesispytest", "--tb=no", "-q"]
    if part in CANCELLING:
        options += ["-k", PLAINLY]
    run = pytester.inline_run(*options, *(f"{path}::TestIt::{test}" for test in tests))
    passed, skipped, failed = run.listoutcomes()
    assert not skipped
    return {_name(report.nodeid) for report in passed}, {_name(report.nodeid) for report in failed}


def _name(node_id: str) -> str:
    return node_id.rpartition("::")[2].partition("[")[0]


@pytest.mark.parametrize("fault", FAULTS)
def test_a_store_with_a_planted_fault_does_not_pass_the_contract(
    pytester: pytest.Pytester, fault: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    part, telling_test = FAULTS[fault]
    monkeypatch.setattr(making, "PATIENCE_SECONDS", 1)  # what a fault keeps back never comes

    _, failed = outcomes_of(pytester, fault, part, [telling_test])

    assert failed == {telling_test}


@pytest.mark.parametrize("part", sorted({part for part, _ in FAULTS.values()}))
@pytest.mark.parametrize("healthy", ["InMemorySessionStore", "YieldingStore"])
def test_a_healthy_store_passes_where_the_faulty_ones_fail(pytester: pytest.Pytester, healthy: str, part: str) -> None:
    telling = {test for where, test in FAULTS.values() if where == part}

    passed, failed = outcomes_of(pytester, healthy, part, telling)

    assert (passed, failed) == (telling, set())


def test_a_healthy_store_whose_sessions_expire_passes_where_faulty_ones_fail(pytester: pytest.Pytester) -> None:
    telling = {test for part, test in FAULTS.values() if part == "expiring"}

    assert outcomes_of(pytester, "MortalStore", "expiring", telling) == (telling, set())
