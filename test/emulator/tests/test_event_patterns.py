"""The template's event patterns against the recorded events: by EventBridge's TestEventPattern, as the emulator has it, and by moto's matcher, so that no matcher judges itself."""
import copy
import glob
import json
import os
import unittest

import yaml
from ministack.services import eventbridge
from moto.events.models import EventPattern

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__)))))


class Template(yaml.SafeLoader):
    """CloudFormation's short forms do not matter here."""


Template.add_multi_constructor("!", lambda loader, suffix, node: f"!{suffix}")


def patterns() -> dict[str, dict]:
    """What listens to the default bus, but for schedules."""
    with open(os.path.join(ROOT, "template.yaml"), encoding="utf-8") as file:
        resources = yaml.load(file, Template)["Resources"]
    rules = {name: each["Properties"] for name, each in resources.items() if each["Type"] == "AWS::Events::Rule"}
    return {name: rule["EventPattern"] for name, rule in rules.items() if "EventPattern" in rule and "EventBusName" not in rule}


def samples() -> dict[str, dict]:
    found = {}
    for path in sorted(glob.glob(os.path.join(ROOT, "events", "*", "*.json"))):
        with open(path, encoding="utf-8") as file:
            found[os.path.relpath(path, ROOT)] = json.load(file)["event"]
    return found


def changed(event: dict, **detail) -> dict:
    other = copy.deepcopy(event)
    other["detail"].update(detail)
    return {**other, "detail": {key: value for key, value in other["detail"].items() if value is not None}}


def look_alikes(event: dict) -> dict[str, dict]:
    """What resembles an event that is listened to, and must not be heard."""
    name = event["detail"]["eventName"]
    operation = name.split("20")[0]
    return {
        "the call failed": changed(event, errorCode="AccessDenied"),
        "another service has an operation of this name": {**changed(event, eventSource="elsewhere.amazonaws.com"), "source": "aws.elsewhere"},
        "the record is of another service than its source": changed(event, eventSource="elsewhere.amazonaws.com"),
        "somebody put it onto the bus": {**event, "source": "my.application"},
        "it is of another kind": {**event, "detail-type": "AWS Console Sign In via CloudTrail"},
        "a longer name begins like it": changed(event, eventName=f"{operation}UrlConfigExtra"),
        "a reading": changed(event, eventName=f"Get{operation}", readOnly=True),
        "a shorter name": changed(event, eventName=operation[:-1]),
    }


PATTERNS = patterns()
SAMPLES = samples()


MATCHERS = {name: EventPattern.load(json.dumps(pattern)) for name, pattern in PATTERNS.items()}


def heard(event: dict) -> list[str]:
    return [name for name, matcher in MATCHERS.items() if matcher.matches_event(event)]


def heard_by_test_event_pattern(event: dict) -> list[str]:
    """Without the way through HTTP, which would take minutes for all of them."""
    text = json.dumps(event)
    answers = {name: eventbridge._test_event_pattern({"EventPattern": json.dumps(pattern), "Event": text}) for name, pattern in PATTERNS.items()}
    return [name for name, (_, _, body) in answers.items() if json.loads(body)["Result"]]


class EventPatterns(unittest.TestCase):
    def agree(self, event: dict, expected: bool) -> None:
        names = heard(event)
        self.assertEqual(names, heard_by_test_event_pattern(event))
        self.assertEqual(expected, names != [])

    def test_there_is_something_to_match(self):
        self.assertGreater(len(PATTERNS), 5)
        self.assertGreater(len(SAMPLES), 20)

    def test_every_sample_is_heard(self):
        for path, event in SAMPLES.items():
            with self.subTest(path):
                self.agree(changed(event, errorCode=None), True)

    def test_no_look_alike_is_heard(self):
        for path, event in SAMPLES.items():
            for why, other in look_alikes(changed(event, errorCode=None)).items():
                with self.subTest(path, why=why):
                    self.agree(other, False)

    def test_a_call_is_not_taken_for_what_a_service_does_by_itself(self):
        """Only where a rule listens to that as well, both kinds fit in one pattern."""
        telling = [name for name, pattern in PATTERNS.items() if "AWS Service Event via CloudTrail" in pattern["detail-type"]]
        for path, event in SAMPLES.items():
            with self.subTest(path):
                called = changed(event, errorCode=None)
                self.assertEqual([name for name in heard({**called, "detail-type": "AWS API Call via CloudTrail"}) if name in telling],
                                 heard({**called, "detail-type": "AWS Service Event via CloudTrail"}))

    def test_a_name_with_a_prefix_of_another_is_not_taken_for_it(self):
        """Prefixes stand for versions of Lambda's API alone: CreateFunctionUrlConfig is no CreateFunction."""
        event = next(event for path, event in SAMPLES.items() if "CreateFunction20150331" in path)
        self.assertNotEqual([], heard(changed(event, errorCode=None)))
        listening = heard(changed(event, errorCode=None, eventName="CreateFunctionUrlConfig"))
        own = [name for name, pattern in PATTERNS.items() if "CreateFunctionUrlConfig" in json.dumps(pattern["detail"]["eventName"])]
        self.assertEqual(sorted(own), sorted(name for name in listening))


if __name__ == "__main__":
    unittest.main()
