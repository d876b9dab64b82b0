"""Which planted fault makes which test of the contract red, of those tests that `planted.py` does not name.

Some promises are kept by the models, whatever a store does, and no fault of a store is found by their tests:

- `appending`: a change that sets and unsets one key cannot be made,
- `runs`: a run refuses an illegal step itself,
- `titles`: what is no title, and who nobody knows, is refused before the store is asked.
"""

from __future__ import annotations

# Part of the contract → its tests, each with the fault that it finds.
PROMISES = {
    "appending": {
        "test_an_append_through_a_stale_handle_keeps_what_others_appended": "AppendsWhereTheHandleEnds",
        "test_the_store_numbers_events_from_one_without_gaps": "NumbersCommitsAndEventsAlike",
    },
    "arguments": {
        "test_a_model_that_was_changed_to_what_it_cannot_hold_is_refused": "LeavesOutWhatIsNoJson",
    },
    "budgets": {
        "test_a_store_without_budgets_says_so_and_another_one_sets_them": "KeepsLimitsInThousands",
    },
    "budgets_set": {"test_bad_amounts_and_unknown_sessions_hold_nothing": "HoldsInALaterSession"},
    "cancelling": {"test_a_write_cancelled_again_and_again_is_made_once": "DoublesOnRetry"},
    "copies": {
        "test_a_payload_changed_after_it_was_appended_stays_as_it_was": "HandsOutLiveEvents",
        "test_a_value_changed_after_it_was_committed_stays_as_it_was": "PutsTheCallersValuesIntoHandles",
    },
    "counting_once": {"test_a_later_session_of_the_same_id_counts_anew": "ForgetsNoResponse"},
    "deleting": {"test_deleting_what_is_absent_is_fine": "DeletesWhatItFinds"},
    "exactly_once": {
        "test_an_event_repeated_through_any_handle_counts_once_in_it": "CountsRepeatsInHandles",
        "test_one_event_twice_in_a_batch_counts_once_in_the_handle": "CountsRepeatsInHandles",
        "test_the_same_event_id_in_two_sessions_is_two_events": "KeepsEventsByTheirIds",
    },
    "expiring": {"test_whether_a_session_expires_is_true_or_false": "TakesAnythingForAFlag"},
    "finding": {
        "test_a_filter_that_does_not_exist_is_an_error_and_no_filter_finds_a_session": "LeavesOutUnknownFilters",
        "test_what_can_be_no_id_of_an_event_is_refused": "TakesABadIdForAnAbsentOne",
        "test_what_no_event_can_be_is_refused": "FindsNothingByABadFilter",
    },
    "ids": {
        "test_what_cannot_be_a_session_id_is_refused_by_every_write": "LooksForAnyId",
        "test_what_cannot_be_an_id_is_refused_as_a_parent": "TakesAnEmptyParentForNone",
        "test_what_cannot_be_an_id_makes_no_session_event_or_run": "GivesIdsToWhatHasNone",
    },
    "incarnations": {
        "test_a_guard_on_a_session_that_is_not_there_yet_is_a_conflict": "GuardsWhatIsThere",
        "test_a_session_that_was_never_stored_is_refused_as_a_handle": "TakesAnythingOfAnIdForTheStoredOne",
    },
    "lifecycle": {
        "test_a_closed_store_is_unavailable_to_followers": "ReadsWhenClosed",
        "test_a_heavy_payload_does_not_hold_up_the_loop": "EncodesOnTheLoop",
        "test_a_long_conversation_is_decoded_in_slices": "DecodesInOneGo",
        "test_writes_under_way_are_finished_when_the_store_closes": "CutsOffWritesWhenClosed",
    },
    "limits": {
        "test_a_commit_over_its_limit_is_refused_with_the_remedy": "SplitsLargeCommits",
        "test_a_payload_of_megabytes_comes_back_whole": "ShortensLongTexts",
        "test_a_value_over_the_limit_is_refused_with_its_path": "LeavesOutWhatIsNoJson",
        "test_an_event_over_its_limit_is_refused_with_its_path": "AppendsWhatIsFine",
        "test_an_event_over_sixteen_megabytes_is_refused_by_default": "TakesMoreByDefault",
    },
    "listing": {"test_an_empty_store_lists_nothing": "SaysThatMoreIsToCome"},
    "losing_replies": {
        "test_a_delete_retried_after_a_lost_reply_leaves_a_later_session_of_the_same_id_alone": "DeletesALaterSession",
    },
    "paging": {"test_a_page_of_no_heads_has_the_cursor_as_it_was": "EndsAtAPageOfNoHeads"},
    "payloads": {
        "test_a_hundred_levels_of_nesting_are_stored_and_one_more_is_refused": "AppendsWhatIsFine",
        "test_a_json_value_comes_back_as_it_was": "KeepsNumbersAsFloats",
        "test_a_surrogate_pair_in_two_halves_is_refused_since_it_would_come_back_as_one_character": (
            "LeavesOutWhatIsNoJson"
        ),
        "test_a_value_that_is_no_json_is_refused_in_a_message_before_anything_is_written": "AppendsWhatIsFine",
    },
    "reading": {
        "test_a_bounded_read_has_the_whole_head_beside_its_few_events": "BringsHalfAHead",
        "test_a_message_type_that_is_no_type_is_refused": "ReadsNoTypeAsPlainJson",
        "test_events_keep_to_after_and_limit": "ReadsTheGivenOneAgain",
        "test_pages_of_events_join_without_gap_or_double": "EndsAfterItsFirstPage",
    },
    "reading_messages": {"test_a_negative_number_of_messages_is_refused": "ReadsNegativeNumbersAsNone"},
    "repeating": {
        "test_a_creation_repeated_by_its_write_id_brings_what_is_stored": "EchoesARepeatedCreation",
    },
    "retracting": {
        "test_an_unknown_event_cannot_be_retracted": "PassesOverUnknownEvents",
        "test_what_to_retract_is_said_in_exactly_one_way": "TakesTheFirstOfSeveralWays",
    },
    "saving": {
        "test_an_event_that_is_twice_in_the_list_is_saved_once_and_leaves_the_session_in_step": "MakesTwinsDifferent",
    },
    "saving_refused": {
        "test_a_partial_view_cannot_become_a_session_elsewhere": "SavesPartsElsewhere",
        "test_id_and_parent_of_a_stored_session_never_change": "KeepsTheOldParent",
    },
    "titles": {
        "test_a_title_of_a_session_that_was_deleted_is_given_to_no_later_one": "WritesToALaterSession",
    },
    "trees": {"test_a_parent_of_another_namespace_is_refused": "LooksForParentsEverywhere"},
    "typed": {
        "test_a_model_that_was_never_validated_is_kept_as_the_json_it_is": "DumpsModelsByTheirNames",
        "test_a_model_that_would_come_back_as_another_is_refused_before_anything_is_written": "AppendsWhatIsFine",
        "test_the_check_does_not_exhaust_iterators_in_a_model": "DumpsBeforeItChecks",
    },
    "usage": {"test_a_tree_sums_each_request_of_it_once": "CountsTheRootAgain"},
}
