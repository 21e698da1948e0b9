"""What EC2 does that the emulator by itself does not."""
from .account import Case, allow, plain, unique

OPEN = {"IpProtocol": "tcp", "FromPort": 22, "ToPort": 22, "IpRanges": [{"CidrIp": "0.0.0.0/0", "Description": "all"}, {"CidrIp": "10.0.0.0/8"}]}


def group(aws) -> str:
    return aws.client("ec2").create_security_group(GroupName=unique("g"), Description="d")["GroupId"]


class Rules(Case):
    def test_each_range_is_a_rule_that_is_revoked_alone(self):
        api, sg = self.aws.client("ec2"), group(self.aws)
        rules = api.authorize_security_group_ingress(GroupId=sg, IpPermissions=[OPEN])["SecurityGroupRules"]
        self.assertEqual(2, len({rule["SecurityGroupRuleId"] for rule in rules}))
        api.revoke_security_group_ingress(GroupId=sg, SecurityGroupRuleIds=[rules[0]["SecurityGroupRuleId"]])
        left = api.describe_security_group_rules(Filters=[{"Name": "group-id", "Values": [sg]}])["SecurityGroupRules"]
        self.assertEqual(["10.0.0.0/8"], [rule["CidrIpv4"] for rule in left if not rule["IsEgress"]])

    def test_groups_are_found_by_their_ids(self):
        api, one, other = self.aws.client("ec2"), group(self.aws), group(self.aws)
        found = lambda *ids: [g["GroupId"] for g in api.describe_security_groups(Filters=[{"Name": "group-id", "Values": list(ids)}])["SecurityGroups"]]
        self.assertEqual([one], found(one))
        self.assertEqual({one, other}, set(found(one, other)))
        self.assertEqual([], found("sg-00000000000000000"))

    def test_the_emulator_alone_finds_all_of_them(self):
        api, one = plain().client("ec2"), group(plain())
        group(plain())
        self.assertLess(1, len(api.describe_security_groups(Filters=[{"Name": "group-id", "Values": [one]}])["SecurityGroups"]))

    def test_groups_of_no_peer_are_referenced(self):
        self.assertEqual([], self.aws.client("ec2").describe_security_group_references(GroupId=[group(self.aws)])["SecurityGroupReferenceSet"])

    def test_the_emulator_alone_knows_no_references(self):
        self.refused("InvalidAction", plain().client("ec2").describe_security_group_references, GroupId=[group(plain())])

    def test_the_emulator_alone_revokes_both(self):
        api, sg = plain().client("ec2"), group(plain())
        rules = api.authorize_security_group_ingress(GroupId=sg, IpPermissions=[OPEN])["SecurityGroupRules"]
        self.assertEqual(1, len({rule["SecurityGroupRuleId"] for rule in rules}))

    def test_a_group_shows_its_rules_by_protocol_and_ports(self):
        api, sg = self.aws.client("ec2"), group(self.aws)
        api.authorize_security_group_ingress(GroupId=sg, IpPermissions=[OPEN, {"IpProtocol": "-1", "Ipv6Ranges": [{"CidrIpv6": "::/0"}]}])
        permissions = api.describe_security_groups(GroupIds=[sg])["SecurityGroups"][0]["IpPermissions"]
        self.assertEqual([("tcp", ["0.0.0.0/0", "10.0.0.0/8"], []), ("-1", [], ["::/0"])], [
            (permission["IpProtocol"], [r["CidrIp"] for r in permission["IpRanges"]], [r["CidrIpv6"] for r in permission["Ipv6Ranges"]]) for permission in permissions])

    def test_duplicates_and_strangers_are_refused(self):
        api, sg = self.aws.client("ec2"), group(self.aws)
        api.authorize_security_group_ingress(GroupId=sg, IpPermissions=[OPEN])
        self.refused("InvalidPermission.Duplicate", api.authorize_security_group_ingress, GroupId=sg, IpPermissions=[OPEN])
        other = {**OPEN, "IpRanges": [{"CidrIp": "192.168.0.0/16"}]}
        self.refused("InvalidPermission.NotFound", api.revoke_security_group_ingress, GroupId=sg, IpPermissions=[other])
        self.refused("InvalidSecurityGroupRuleId.NotFound", api.revoke_security_group_ingress, GroupId=sg, SecurityGroupRuleIds=["sgr-0123456789abcdef0"])

    def test_a_rule_that_comes_back_has_a_new_id(self):
        api, sg = self.aws.client("ec2"), group(self.aws)
        once = lambda: api.authorize_security_group_ingress(GroupId=sg, IpPermissions=[OPEN])["SecurityGroupRules"][0]["SecurityGroupRuleId"]
        first = once()
        api.revoke_security_group_ingress(GroupId=sg, IpPermissions=[OPEN])
        self.assertNotEqual(first, once())

    def test_prefix_lists_are_sources(self):
        api, sg = self.aws.client("ec2"), group(self.aws)
        rules = api.authorize_security_group_ingress(GroupId=sg, IpPermissions=[
            {"IpProtocol": "tcp", "FromPort": 1, "ToPort": 1, "PrefixListIds": [{"PrefixListId": "pl-1"}, {"PrefixListId": "pl-2"}]}])["SecurityGroupRules"]
        self.assertEqual(["pl-1", "pl-2"], [rule["PrefixListId"] for rule in rules])


class DryRuns(Case):
    def test_a_dry_run_says_so_and_does_nothing(self):
        api, sg = self.aws.client("ec2"), group(self.aws)
        self.refused("DryRunOperation", api.authorize_security_group_ingress, GroupId=sg, IpPermissions=[OPEN], DryRun=True)
        self.assertEqual([], api.describe_security_groups(GroupIds=[sg])["SecurityGroups"][0]["IpPermissions"])
        keys = self.aws.user(allow("ec2:Describe*"))
        self.refused("UnauthorizedOperation", self.aws.client("ec2", keys).authorize_security_group_ingress, GroupId=sg, IpPermissions=[OPEN], DryRun=True)

    def test_the_emulator_alone_does_what_is_only_tried(self):
        sg = group(plain())
        plain().client("ec2").authorize_security_group_ingress(GroupId=sg, IpPermissions=[OPEN], DryRun=True)


class Interfaces(Case):
    def test_functions_have_network_interfaces(self):
        aws = self.aws
        api = aws.client("ec2")
        subnet = api.describe_subnets()["Subnets"][0]
        sg, other = (api.create_security_group(GroupName=unique("g"), Description="d", VpcId=subnet["VpcId"])["GroupId"] for _ in range(2))
        role = aws.role(allow("ec2:*"))
        for _ in range(2):
            aws.function(role=role, wait=False, VpcConfig={"SubnetIds": [subnet["SubnetId"]], "SecurityGroupIds": [sg]})
        found = api.describe_network_interfaces(Filters=[{"Name": "group-id", "Values": [sg]}])["NetworkInterfaces"]
        self.assertEqual([("lambda", subnet["SubnetId"], [sg])], [
            (eni["InterfaceType"], eni["SubnetId"], [item["GroupId"] for item in eni["Groups"]]) for eni in found])
        self.assertEqual([], api.describe_network_interfaces(Filters=[{"Name": "group-id", "Values": [other]}])["NetworkInterfaces"])
        own = api.create_network_interface(SubnetId=subnet["SubnetId"], Groups=[other])["NetworkInterface"]["NetworkInterfaceId"]
        found = api.describe_network_interfaces(Filters=[{"Name": "group-id", "Values": [other]}])["NetworkInterfaces"]
        self.assertEqual([own], [eni["NetworkInterfaceId"] for eni in found])
        self.refused("DependencyViolation", api.delete_security_group, GroupId=sg)
