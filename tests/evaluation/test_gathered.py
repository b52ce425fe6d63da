"""The same problem of many files is one line with a count and two examples."""

from iqa_registry.evaluation.summary import gathered


def test_messages_that_differ_in_their_files_are_one():
    found = [("error", f"out/case_{n}.nii.gz: cannot be read. Repair it.", 2) for n in range(200)]
    found.append(("error", "a.png and b.png: 64 x 64 against 32 x 32.", 1))
    assert gathered(found) == [
        (
            "error",
            "out/case_0.nii.gz: cannot be read. Repair it. (200 such messages, also out/case_1.nii.gz)",
            400,
        ),
        ("error", "a.png and b.png: 64 x 64 against 32 x 32.", 1),
    ]


def test_different_reasons_numbers_and_states_stay_apart():
    found = [
        ("error", "a.png: truncated", 1),
        ("not_applicable", "b.png: truncated", 1),
        ("error", "c.png: a value of 0.5", 1),
        ("error", "c.png: a value of 0.7", 1),
    ]
    assert gathered(found) == found
