"""Auto Scaling as boto3 sees it: groups, scheduled actions, protection, processes, tags."""

import datetime

from cloud import SUBNETS, Case, client

UTC = datetime.timezone.utc


class Groups(Case):
    def setUp(self):
        super().setUp()
        self.template()
        self.groups = client("autoscaling")

    def group(self, least=0, most=9, wanted=3, name="web", **more):
        zones = ",".join(SUBNETS[zone] for zone in "abc")
        self.groups.create_auto_scaling_group(
            AutoScalingGroupName=name,
            LaunchTemplate={"LaunchTemplateName": "pack", "Version": "$Latest"},
            MinSize=least,
            MaxSize=most,
            DesiredCapacity=wanted,
            VPCZoneIdentifier=zones,
            **more,
        )
        self.advance("60s")

    def seen(self, name="web"):
        [group] = self.groups.describe_auto_scaling_groups(AutoScalingGroupNames=[name])["AutoScalingGroups"]
        return group

    def ids(self):
        return [one["InstanceId"] for one in self.seen()["Instances"] if one["LifecycleState"] == "InService"]

    def refused(self, code, call, **more):
        with self.assertRaises(self.groups.exceptions.ClientError) as caught:
            call(**more)
        self.assertEqual(caught.exception.response["Error"]["Code"], code)
        return caught.exception.response["Error"]["Message"]

    def put(self, name="night", **more):
        asked = {"Recurrence": "0 0 * * *", "DesiredCapacity": 4, **more}
        self.groups.put_scheduled_update_group_action(AutoScalingGroupName="web", ScheduledActionName=name, **asked)

    def actions(self):
        return self.groups.describe_scheduled_actions(AutoScalingGroupName="web")["ScheduledUpdateGroupActions"]

    def test_a_group_is_described_as_it_was_made(self):
        self.group(Tags=[{"Key": "team", "Value": "data", "PropagateAtLaunch": True}], TerminationPolicies=["OldestInstance", "Default"])
        group = self.seen()
        self.assertEqual((group["MinSize"], group["MaxSize"], group["DesiredCapacity"]), (0, 9, 3))
        self.assertEqual(group["TerminationPolicies"], ["OldestInstance", "Default"])
        self.assertEqual(len(group["AvailabilityZones"]), 3)
        self.assertEqual({one["AvailabilityZone"] for one in group["Instances"]}, set(group["AvailabilityZones"]))
        one = self.describe(group["Instances"][0]["InstanceId"])
        self.assertIn({"Key": "team", "Value": "data"}, one["Tags"])
        self.assertIn({"Key": "aws:autoscaling:groupName", "Value": "web"}, one["Tags"])
        self.refused("AlreadyExists", self.group)
        self.assertEqual(self.groups.describe_auto_scaling_groups(Filters=[{"Name": "tag:team", "Values": ["none"]}])["AutoScalingGroups"], [])

    def test_what_dies_is_replaced_and_the_log_says_why(self):
        self.group()
        first = self.ids()[0]
        self.ec2.terminate_instances(InstanceIds=[first])
        self.advance("60s")
        self.assertEqual(len(self.ids()), 3)
        self.assertNotIn(first, self.ids())
        log = self.groups.describe_scaling_activities(AutoScalingGroupName="web")["Activities"]
        self.assertTrue(any("health check" in one["Cause"] for one in log))
        self.assertTrue(all(one["StatusCode"] == "Successful" for one in log))

    def test_scheduled_actions_are_put_listed_and_run(self):
        self.group()
        self.put(TimeZone="Australia/Brisbane", MaxSize=10)
        [action] = self.actions()
        self.assertEqual((action["Recurrence"], action["TimeZone"], action["DesiredCapacity"]), ("0 0 * * *", "Australia/Brisbane", 4))
        self.assertNotIn("MinSize", action)
        self.assertEqual(action["StartTime"].astimezone(UTC).hour, 14)
        self.advance("24h")
        self.assertEqual(self.seen()["DesiredCapacity"], 4)
        self.assertEqual(self.seen()["MaxSize"], 10)
        self.assertGreater(self.actions()[0]["StartTime"], action["StartTime"])

    def test_what_is_wrong_with_an_action_is_told(self):
        self.group()
        past = datetime.datetime(2020, 1, 1, tzinfo=UTC)
        self.assertIn("past", self.refused("ValidationError", self.put, StartTime=past))
        self.refused("ValidationError", self.put, Recurrence="* * *")
        self.refused("ValidationError", self.put, TimeZone="Nowhere/Else")
        answer = self.groups.batch_put_scheduled_update_group_action(
            AutoScalingGroupName="web",
            ScheduledUpdateGroupActions=[
                {"ScheduledActionName": "good", "Recurrence": "0 1 * * *", "DesiredCapacity": 1},
                {"ScheduledActionName": "bad", "Recurrence": "0 25 * * *", "DesiredCapacity": 1},
            ],
        )
        [failed] = answer["FailedScheduledUpdateGroupActions"]
        self.assertEqual((failed["ScheduledActionName"], failed["ErrorCode"]), ("bad", "ValidationError"))
        answer = self.groups.batch_delete_scheduled_action(AutoScalingGroupName="web", ScheduledActionNames=["good", "bad"])
        self.assertEqual([one["ScheduledActionName"] for one in answer["FailedScheduledActions"]], ["bad"])
        self.assertEqual(self.actions(), [])

    def test_protection_and_suspended_processes(self):
        self.group(wanted=2)
        ids = self.ids()
        self.groups.set_instance_protection(AutoScalingGroupName="web", InstanceIds=ids, ProtectedFromScaleIn=True)
        self.groups.set_desired_capacity(AutoScalingGroupName="web", DesiredCapacity=1)
        self.advance("60s")
        self.assertEqual(self.ids(), ids, "protected from scale in")
        self.groups.suspend_processes(AutoScalingGroupName="web", ScalingProcesses=["Terminate"])
        self.groups.set_instance_protection(AutoScalingGroupName="web", InstanceIds=ids[:1], ProtectedFromScaleIn=False)
        self.advance("60s")
        self.assertEqual(self.ids(), ids)
        self.groups.resume_processes(AutoScalingGroupName="web")
        self.advance("60s")
        self.assertEqual(self.ids(), ids[1:])

    def test_a_hook_holds_what_leaves_until_it_is_deleted(self):
        ends = "autoscaling:EC2_INSTANCE_TERMINATING"
        born = {"LifecycleHookName": "drain", "LifecycleTransition": ends, "HeartbeatTimeout": 600, "DefaultResult": "CONTINUE"}
        self.group(wanted=2, LifecycleHookSpecificationList=[born])
        [hook] = self.groups.describe_lifecycle_hooks(AutoScalingGroupName="web")["LifecycleHooks"]
        self.assertEqual({key: hook[key] for key in born}, born)
        self.groups.set_desired_capacity(AutoScalingGroupName="web", DesiredCapacity=1)
        self.advance("300s")
        states = sorted(one["LifecycleState"] for one in self.seen()["Instances"])
        self.assertEqual(states, ["InService", "Terminating:Wait"])
        self.refused("ValidationError", self.groups.put_lifecycle_hook, AutoScalingGroupName="web", LifecycleHookName="x",
                     LifecycleTransition=ends, HeartbeatTimeout=29)
        self.groups.delete_lifecycle_hook(AutoScalingGroupName="web", LifecycleHookName="drain")
        self.advance("60s")
        self.assertEqual(len(self.ids()), 1)

    def test_a_group_is_deleted_by_force_only_while_it_has_instances(self):
        self.group()
        self.refused("ResourceInUse", self.groups.delete_auto_scaling_group, AutoScalingGroupName="web")
        self.groups.delete_auto_scaling_group(AutoScalingGroupName="web", ForceDelete=True)
        self.advance("60s")
        self.assertEqual(self.groups.describe_auto_scaling_groups()["AutoScalingGroups"], [])
        self.assertEqual({one["state"] for one in self.ours()}, {"terminated"})

    def refresh(self):
        return self.groups.describe_instance_refreshes(AutoScalingGroupName="web")["InstanceRefreshes"][0]

    def test_an_instance_refresh_replaces_within_its_bounds(self):
        self.group()
        old = self.ids()
        asked = {"MinHealthyPercentage": 100, "MaxHealthyPercentage": 150, "InstanceWarmup": 60, "SkipMatching": False,
                 "ScaleInProtectedInstances": "Ignore", "StandbyInstances": "Ignore"}
        begun = self.groups.start_instance_refresh(AutoScalingGroupName="web", Preferences=asked)["InstanceRefreshId"]
        self.refused("InstanceRefreshInProgress", self.groups.start_instance_refresh, AutoScalingGroupName="web")
        self.advance("30s")
        seen = self.refresh()
        self.assertEqual((seen["InstanceRefreshId"], seen["Status"], seen["InstancesToUpdate"]), (begun, "InProgress", 3))
        self.assertEqual({key: seen["Preferences"][key] for key in asked}, asked)
        self.advance("30m")
        seen = self.refresh()
        self.assertEqual((seen["Status"], seen["PercentageComplete"]), ("Successful", 100))
        self.assertGreater(seen["EndTime"], seen["StartTime"])
        self.assertEqual((len(self.ids()), set(self.ids()) & set(old)), (3, set()))

    def test_an_instance_refresh_is_refused_and_cancelled(self):
        self.group()
        start, cancel = self.groups.start_instance_refresh, self.groups.cancel_instance_refresh
        self.refused("ActiveInstanceRefreshNotFound", cancel, AutoScalingGroupName="web")
        self.refused("ValidationError", start, AutoScalingGroupName="nobody")
        self.refused("ValidationError", start, AutoScalingGroupName="web", Preferences={"MaxHealthyPercentage": 110})
        begun = start(AutoScalingGroupName="web", Preferences={"InstanceWarmup": 3600})["InstanceRefreshId"]
        self.assertEqual(cancel(AutoScalingGroupName="web")["InstanceRefreshId"], begun)
        self.advance("10m")
        self.assertEqual(self.refresh()["Status"], "Cancelled")
        self.assertEqual(len(self.ids()), 3)

    def test_instances_stand_aside_leave_and_come(self):
        self.group()
        web, [one, *others] = {"AutoScalingGroupName": "web"}, self.ids()
        named = {**web, "InstanceIds": [one]}
        told = self.groups.enter_standby(**named, ShouldDecrementDesiredCapacity=True)["Activities"]
        self.assertEqual([activity["StatusCode"] for activity in told], ["Successful"])
        self.assertEqual((self.seen()["DesiredCapacity"], sorted(self.ids())), (2, sorted(others)))
        self.assertEqual({each["LifecycleState"] for each in self.seen()["Instances"]}, {"InService", "Standby"})
        self.groups.exit_standby(**named)
        self.advance("60s")
        self.assertEqual((self.seen()["DesiredCapacity"], len(self.ids())), (3, 3))
        self.groups.detach_instances(**named, ShouldDecrementDesiredCapacity=False)
        self.advance("60s")
        self.assertEqual((len(self.ids()), one in self.ids(), self.describe(one)["State"]["Name"]), (3, False, "running"))
        self.groups.attach_instances(**named)
        self.advance("60s")
        self.assertEqual((self.seen()["DesiredCapacity"], one in self.ids()), (4, True))
        self.refused("ValidationError", self.groups.attach_instances, **named)

    def test_a_warm_pool_is_put_and_deleted(self):
        self.group(most=3)
        self.groups.put_warm_pool(AutoScalingGroupName="web", MaxGroupPreparedCapacity=0, PoolState="Stopped")
        self.assertEqual(self.seen()["WarmPoolConfiguration"]["PoolState"], "Stopped")
        self.assertEqual(self.groups.describe_warm_pool(AutoScalingGroupName="web")["Instances"], [])
        self.groups.delete_warm_pool(AutoScalingGroupName="web")
        self.assertNotIn("WarmPoolConfiguration", self.seen())

    def test_tags_of_a_group_are_put_found_and_taken_away(self):
        self.group()
        tag = {"ResourceId": "web", "ResourceType": "auto-scaling-group", "Key": "team", "Value": "data", "PropagateAtLaunch": True}
        self.groups.create_or_update_tags(Tags=[tag])
        self.assertEqual(self.groups.describe_tags(Filters=[{"Name": "auto-scaling-group", "Values": ["web"]}])["Tags"], [tag])
        self.assertEqual(self.describe(self.ids()[0]).get("Tags", []).count({"Key": "team", "Value": "data"}), 0, "it was there before")
        self.groups.set_desired_capacity(AutoScalingGroupName="web", DesiredCapacity=4)
        self.advance("60s")
        self.assertIn({"Key": "team", "Value": "data"}, self.describe(self.ids()[-1])["Tags"])
        self.groups.delete_tags(Tags=[tag])
        self.assertEqual(self.seen()["Tags"], [])

    def test_one_host_goes_with_its_place_or_is_replaced(self):
        self.group()
        first, second, third = self.ids()
        end = self.groups.terminate_instance_in_auto_scaling_group
        told = end(InstanceId=first, ShouldDecrementDesiredCapacity=True)["Activity"]
        self.assertIn(first, told["Description"])
        self.advance("60s")
        self.assertEqual((self.ids(), self.seen()["DesiredCapacity"]), ([second, third], 2))
        end(InstanceId=second, ShouldDecrementDesiredCapacity=False)
        self.groups.set_instance_health(InstanceId=third, HealthStatus="Unhealthy")
        self.advance("60s")
        self.assertEqual((len(self.ids()), set(self.ids()) & {second, third}), (2, set()))
        self.refused("ValidationError", end, InstanceId=first, ShouldDecrementDesiredCapacity=True)
        seen = self.groups.describe_auto_scaling_instances(InstanceIds=self.ids())["AutoScalingInstances"]
        self.assertEqual({one["AutoScalingGroupName"] for one in seen}, {"web"})

    def test_a_launching_hook_holds_until_it_is_completed(self):
        starts = {"LifecycleHookName": "boot", "LifecycleTransition": "autoscaling:EC2_INSTANCE_LAUNCHING", "HeartbeatTimeout": 3600}
        self.group(wanted=1, LifecycleHookSpecificationList=[starts])
        [waits] = self.seen()["Instances"]
        self.assertEqual(waits["LifecycleState"], "Pending:Wait")
        self.groups.complete_lifecycle_action(AutoScalingGroupName="web", LifecycleHookName="boot", LifecycleActionResult="CONTINUE",
                                              InstanceId=waits["InstanceId"])
        self.advance("30s")
        self.assertEqual(self.ids(), [waits["InstanceId"]])

    def test_scaling_policies_are_put_listed_and_deleted(self):
        self.group()
        target = {"PredefinedMetricSpecification": {"PredefinedMetricType": "ASGAverageCPUUtilization"}, "TargetValue": 50.0}
        made = self.groups.put_scaling_policy(AutoScalingGroupName="web", PolicyName="cpu", PolicyType="TargetTrackingScaling",
                                              TargetTrackingConfiguration=target)
        [policy] = self.groups.describe_policies(AutoScalingGroupName="web")["ScalingPolicies"]
        self.assertEqual((policy["PolicyName"], policy["PolicyARN"]), ("cpu", made["PolicyARN"]))
        self.groups.delete_policy(AutoScalingGroupName="web", PolicyName="cpu")
        self.assertEqual(self.groups.describe_policies(AutoScalingGroupName="web")["ScalingPolicies"], [])
