"""The control port, which tests rely on: world, audit, clock, faults, hosts, gates, reset."""

import datetime
import threading
import time

import cloud
from cloud import IMAGE, SUBNETS, TEMPLATE, Case, ask, client, control, tagged


def moment(text):
    return datetime.datetime.fromisoformat(text.replace("Z", "+00:00")[:26].rstrip("+") + "+00:00" if "." in text else text.replace("Z", "+00:00"))


class World(Case):
    def test_ground_truth(self):
        [id] = self.launch(TagSpecifications=[tagged("instance", a="b")])
        world = self.world()
        for part in ["instances", "images", "snapshots", "launch_templates", "volumes", "subnets", "fleets", "queues", "calls", "rules", "now", "account", "region"]:
            self.assertIn(part, world)
        [one] = [one for one in world["instances"] if one["id"] == id]
        self.assertEqual((one["state"], one["tags"], one["image"], one["subnet"]), ("pending", {"a": "b"}, IMAGE, SUBNETS["a"]))
        self.assertEqual((one["pool"], one["owner"]), ("on-demand/m7i.large/us-east-1a", "TESTER"))
        self.assertEqual(world["calls"]["ec2:RunInstances"], 1)
        self.advance("1h")
        self.assertGreater(self.world()["cost_usd"] if not isinstance(world["cost_usd"], str) else float(self.world()["cost_usd"]), 0)

    def test_the_truth_does_not_lag(self):
        self.faults(lag_seconds=300)
        self.launch(5)
        self.assertEqual(len(self.ours()), 5)


class Audit(Case):
    def test_every_call_is_there(self):
        made = self.launch(2, ClientToken="t")
        self.refused("InvalidInstanceID.NotFound", self.ec2.terminate_instances, InstanceIds=["i-0fffffffffffffff1"])
        self.ec2.terminate_instances(InstanceIds=made)
        entries = self.audit()
        self.assertEqual([entry["seq"] for entry in entries], [1, 2, 3])
        run, bad, end = entries
        self.assertEqual((run["service"], run["action"], run["principal"]), ("ec2", "RunInstances", "TESTER"))
        self.assertIn("Boto3/", run["user_agent"])
        self.assertEqual((run["made"], run["client_token"], run["status"], run["error"]), (made, "t", 200, None))
        self.assertEqual(run["parameters"]["SubnetId"], SUBNETS["a"])
        self.assertEqual((bad["status"], bad["error"], bad["ended"], bad["commit"]), (400, "InvalidInstanceID.NotFound", [], None))
        self.assertEqual(end["ended"], made)
        self.assertEqual([entry["seq"] for entry in ask("GET", "audit?since=2")], [3])

    def test_equal_bodies_have_equal_digests(self):
        for _ in range(2):
            self.run_instances(ClientToken="t")
        one, two = self.audit("RunInstances")
        self.assertEqual(one["body_sha256"], two["body_sha256"])


class Clock(Case):
    def test_hold_advance_speed(self):
        before = ask("GET", "clock")
        time.sleep(0.05)
        self.assertEqual(ask("GET", "clock"), before, "held")
        self.assertEqual(before["speed"], 0)
        after = ask("POST", "clock", {"advance": "10m"})
        self.assertEqual((moment(after["now"]) - moment(before["now"])).total_seconds(), 600)
        self.speed(60)
        began, start = time.monotonic(), moment(ask("GET", "clock")["now"])
        time.sleep(0.3)
        passed = (moment(ask("GET", "clock")["now"]) - start).total_seconds()
        wall = time.monotonic() - began
        self.assertTrue(0.3 * 60 <= passed <= wall * 60 + 1, (passed, wall))

    def test_bad_orders(self):
        for order in [{"speed": -1}, {"advance": "-5m"}, {"advance": "soon"}, {"nonsense": 1}]:
            status, document = control("POST", "clock", order)
            self.assertEqual(status, 400, order)
            self.assertTrue(document["error"])

    def test_the_date_header_stays_real(self):
        self.advance("48h")
        headers = self.ec2.describe_regions()["ResponseMetadata"]["HTTPHeaders"]
        shown = datetime.datetime.strptime(headers["date"], "%a, %d %b %Y %H:%M:%S GMT")
        real = datetime.datetime.now(datetime.timezone.utc).replace(tzinfo=None)
        self.assertLess(abs((shown - real).total_seconds()), 60)


class Faults(Case):
    def test_show_replace_empty(self):
        self.faults(rules=[{"action": "RunInstances", "do": "reset"}], lag_seconds=5)
        shown = ask("GET", "faults")
        self.assertEqual((shown["lag_seconds"], shown["rules"][0]["action"]), (5, "RunInstances"))
        self.assertEqual(ask("POST", "faults", shown), shown, "what is shown is taken")
        ask("DELETE", "faults")
        self.assertEqual(ask("GET", "faults")["rules"], [])

    def test_nonsense_is_refused(self):
        for script in [{"nonsense": 1}, {"rules": [{"action": "X", "do": "explode"}]}, {"rules": [{"action": "X", "do": "reset", "share_percent": 101}]}, {"hosts": [{"which": "0", "do": "kill"}]}]:
            status, document = control("POST", "faults", script)
            self.assertEqual(status, 400, script)
            self.assertTrue(document["error"])

    def test_rules_tell_how_often_they_fired(self):
        self.faults(rules=[{"action": "DescribeRegions", "skip": 1, "times": 1, "do": {"error": {"code": "Odd", "status": 418}}}])
        self.ec2.describe_regions()
        self.refused("Odd", self.ec2.describe_regions, status=418)
        self.ec2.describe_regions()
        self.assertEqual(self.world()["rules"], [{"action": "DescribeRegions", "seen": 3, "fired": 1}])

    def test_host_events(self):
        self.faults(hosts=[{"at": "60s", "which": "spot:0", "do": "interrupt"}])
        [id] = self.running(InstanceMarketOptions={"MarketType": "spot"})
        [other] = self.running()
        self.advance("10m")
        self.assertEqual((self.state(id), self.state(other)), ("terminated", "running"))
        self.assertEqual(self.describe(id)["StateReason"]["Code"], "Server.SpotInstanceTermination")


class Hosts(Case):
    def test_orders(self):
        [id] = self.running(InstanceMarketOptions={"MarketType": "spot"})
        self.assertEqual(ask("GET", f"hosts/{id}")["private_ip"], self.describe(id)["PrivateIpAddress"])
        ask("POST", f"hosts/{id}", {"do": "interrupt"})
        self.advance("3m")
        self.assertEqual(self.state(id), "terminated")
        [id] = self.running()
        ask("POST", f"hosts/{id}", {"do": "kill"})
        self.advance("1m")
        self.assertIn(self.state(id), ["stopping", "stopped", "terminated", "running"])

    def test_bad_orders(self):
        self.assertEqual(control("POST", f"hosts/{TEMPLATE}", {"do": "sing"})[0], 400)
        self.assertGreaterEqual(control("POST", "hosts/i-0fffffffffffffff1", {"do": "kill"})[0], 400)
        self.assertEqual(control("GET", "hosts/i-0fffffffffffffff1")[0], 400)


class Gates(Case):
    def held(self, point):
        order = {"action": "RunInstances", "call": 2, "point": point}
        ask("POST", "gate", order)
        self.launch()
        answers = []
        waiting = threading.Thread(target=lambda: answers.append(self.launch(3, ClientToken="t")))
        waiting.start()
        for _ in range(500):
            [gate] = ask("GET", "gate")["gates"]
            if gate["state"] == "held":
                break
            time.sleep(0.01)
        self.assertEqual((gate["state"], gate["principal"], gate["call"]), ("held", "TESTER", 2))
        self.assertEqual(answers, [])
        done = len(self.ours()) - 1
        self.assertEqual(ask("POST", "gate/release", order)["released"], 1)
        waiting.join(5)
        self.assertEqual(len(answers[0]), 3)
        self.assertEqual(ask("GET", "gate")["gates"], [])
        return done

    def test_before_commit(self):
        self.assertEqual(self.held("before-commit"), 0)

    def test_after_commit(self):
        self.assertEqual(self.held("after-commit"), 3)

    def test_release_all_and_nonsense(self):
        for action in ["A", "B"]:
            ask("POST", "gate", {"action": action, "point": "before-commit"})
        self.assertEqual(ask("POST", "gate/release", {"all": True})["released"], 2)
        self.assertEqual(control("POST", "gate", {"action": "A", "point": "nowhere"})[0], 400)


class Reset(Case):
    def test_the_world_begins_again(self):
        self.faults(lag_seconds=100, rules=[{"action": "X", "do": "hang"}])
        self.launch(3)
        self.sqs.create_queue(QueueName="q")
        ask("POST", "gate", {"action": "A", "point": "before-commit"})
        self.advance("5h")
        ask("POST", "reset")
        world = self.world()
        self.assertEqual(([one["id"] for one in self.ours()], world["calls"], world["rules"]), ([], {}, []))
        self.assertEqual([queue["name"] for queue in world["queues"]], ["items"])
        self.assertEqual((ask("GET", "gate")["gates"], self.audit(), ask("GET", "faults")["lag_seconds"]), ([], [], None))
        real = datetime.datetime.now(datetime.timezone.utc)
        self.assertLess(abs((moment(ask("GET", "clock")["now"]) - real).total_seconds()), 60)

    def test_same_seed_same_ids(self):
        first = self.launch(3)
        ask("POST", "reset")
        self.assertEqual(self.launch(3), first)

    def test_unknown_paths(self):
        self.assertEqual(control("GET", "nonsense")[0], 404)
        self.assertIn(control("DELETE", "world")[0], (404, 405))
