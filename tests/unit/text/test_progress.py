from olmix.text.progress import NOBODY, Progress, Steps


def test_steps_are_counted_and_never_more_than_all():
    seen = []
    steps = Steps(seen.append, 3)
    steps("begun", 0)
    steps("two", 2)
    steps("more", 2)
    assert seen == [Progress(0, 3, "begun"), Progress(2, 3, "two"), Progress(3, 3, "more")]


def test_work_whose_total_is_not_known_has_no_share():
    assert Progress(5, 0).share is None
    assert Progress(31, 1).share == 1.0


def test_steps_that_nobody_listens_to_cost_nothing():
    NOBODY("done")
