"""EC2: security group rules one by one, dry runs, and the network interfaces of functions."""
import hashlib
import random
import re
import string

from ministack.core.responses import get_account_id, get_region
from ministack.services import ec2, lambda_svc

from . import ec2_network
from .patch import one, wrap

_FAMILIES = ("IpRanges", "Ipv6Ranges", "PrefixListIds", "UserIdGroupPairs")


def _new_rule_id() -> str:
    return "sgr-0" + "".join(random.choices(string.hexdigits[:16].lower(), k=16))


def split(permission: dict) -> list[dict]:
    """The rules of which a permission consists."""
    if permission.get("IpProtocol") == "-1":
        permission = {key: value for key, value in permission.items() if key not in ("FromPort", "ToPort")}
    sources = [(family, source) for family in _FAMILIES for source in permission.get(family) or []]
    if len(sources) < 2:
        return [permission]
    whole = {key: value for key, value in permission.items() if key != "SecurityGroupRuleId"}
    return [{**whole, **{name: [] for name in _FAMILIES}, family: [source]} for family, source in sources]


def one_rule_for_each_range() -> None:
    """Each range, group or prefix list of a permission is a rule of its own, with an id of its own, revoked alone.
    https://docs.aws.amazon.com/vpc/latest/userguide/security-group-rules.html"""
    def prefix_lists(params, prefix, index):
        found, number = [], 1
        while (identifier := one(params.get(f"{prefix}.{index}.PrefixListIds.{number}.PrefixListId"))):
            description = one(params.get(f"{prefix}.{index}.PrefixListIds.{number}.Description"))
            found.append({"PrefixListId": identifier, **({"Description": description} if description else {})})
            number += 1
        return found

    @wrap(ec2, "_parse_ip_permissions")
    def parse(original, params, prefix):
        rules = []
        for index, permission in enumerate(original(params, prefix), 1):
            rules += split({**permission, "PrefixListIds": permission.get("PrefixListIds") or prefix_lists(params, prefix, index)})
        return rules

    @wrap(ec2, "_sg_rule_id")
    def rule_id(original, sg_id, is_egress, rule):
        return rule.get("SecurityGroupRuleId") or original(sg_id, is_egress, rule)

    @wrap(ec2, "_sg_xml")
    def describe(original, group):
        merged = {**group}
        for direction in ("IpPermissions", "IpPermissionsEgress"):
            by_ports: dict[tuple, dict] = {}
            for rule in group.get(direction, []):
                key = (rule.get("IpProtocol"), rule.get("FromPort"), rule.get("ToPort"))
                into = by_ports.setdefault(key, {**rule, **{name: [] for name in _FAMILIES}})
                for family in _FAMILIES:
                    into[family] = into[family] + list(rule.get(family) or [])
            merged[direction] = list(by_ports.values())
        return original(merged)


def _same(left: dict, right: dict) -> bool:
    return ec2._rules_match({**left, "PrefixListIds": [_id(item) for item in left.get("PrefixListIds") or []],
                             "UserIdGroupPairs": [_group(item) for item in left.get("UserIdGroupPairs") or []]},
                            {**right, "PrefixListIds": [_id(item) for item in right.get("PrefixListIds") or []],
                             "UserIdGroupPairs": [_group(item) for item in right.get("UserIdGroupPairs") or []]})


def _id(item):
    return item.get("PrefixListId") if isinstance(item, dict) else item


def _group(item):
    return (item.get("GroupId"), item.get("UserId") or get_account_id()) if isinstance(item, dict) else (item, get_account_id())


def duplicates_and_strangers_are_refused() -> None:
    """Authorizing a rule that is there is InvalidPermission.Duplicate; revoking one that is not there is InvalidPermission.NotFound; the
    answer of a revocation lists the revoked rules; a revoked and newly authorized rule has a new id.
    https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_AuthorizeSecurityGroupIngress.html"""
    def named(params):
        """Groups of the default VPC may be given by name."""
        if not one(params.get("GroupId")) and one(params.get("GroupName")):
            for group in ec2._security_groups.values():
                if group.get("GroupName") == one(params["GroupName"]):
                    return {**params, "GroupId": [group["GroupId"]]}
        return params

    def describe(rule) -> str:
        peer = next((source for family in _FAMILIES for source in rule.get(family) or []), "")
        shown = next(iter(peer.values())) if isinstance(peer, dict) and peer else peer
        return f'peer: {shown}, {"ALL" if rule.get("IpProtocol") == "-1" else rule.get("IpProtocol", "").upper()}, from port: {rule.get("FromPort", -1)}, to port: {rule.get("ToPort", -1)}, ALLOW'

    def authorize(direction, original, params):
        params = named(params)
        group = ec2._security_groups.get(one(params.get("GroupId")))
        if group is None:
            return original(params)
        rules = ec2._parse_ip_permissions(params, "IpPermissions")
        for rule in rules:
            if any(_same(rule, existing) for existing in group[direction]):
                return ec2._error("InvalidPermission.Duplicate", f'the specified rule "{describe(rule)}" already exists', 400)
        tags = ec2._sg_rule_tag_specifications(params)
        items = ""
        for rule in rules:
            rule["SecurityGroupRuleId"] = _new_rule_id()
            group[direction].append(rule)
            if tags:
                ec2._tags[rule["SecurityGroupRuleId"]] = list(tags)
            items += ec2._sg_rule_xml(group["GroupId"], rule, is_egress=direction == "IpPermissionsEgress")
        kind = "Egress" if direction == "IpPermissionsEgress" else "Ingress"
        return ec2._xml(200, f"AuthorizeSecurityGroup{kind}Response", f"<return>true</return><securityGroupRuleSet>{items}</securityGroupRuleSet>")

    def revoke(direction, original, params):
        params = named(params)
        group = ec2._security_groups.get(one(params.get("GroupId")))
        if group is None or one(params.get("SecurityGroupRuleId.1")):
            return original(params)
        egress = direction == "IpPermissionsEgress"
        revoked = []
        for rule in ec2._parse_ip_permissions(params, "IpPermissions"):
            found = next((existing for existing in group[direction] if _same(rule, existing)), None)
            if found is None:
                return ec2._error("InvalidPermission.NotFound", "The specified rule does not exist in this security group.", 400)
            revoked.append(found)
        group[direction] = [rule for rule in group[direction] if not any(rule is gone for gone in revoked)]
        items = "".join(ec2._revoked_sg_rule_xml(group["GroupId"], rule, is_egress=egress) for rule in revoked)
        kind = "Egress" if egress else "Ingress"
        return ec2._xml(200, f"RevokeSecurityGroup{kind}Response",
                        f"<return>true</return><revokedSecurityGroupRuleSet>{items}</revokedSecurityGroupRuleSet>")

    for name, direction, do in (("AuthorizeSecurityGroupIngress", "IpPermissions", authorize),
                                ("AuthorizeSecurityGroupEgress", "IpPermissionsEgress", authorize),
                                ("RevokeSecurityGroupIngress", "IpPermissions", revoke),
                                ("RevokeSecurityGroupEgress", "IpPermissionsEgress", revoke)):
        original = ec2._ACTION_MAP[name]
        ec2._ACTION_MAP[name] = lambda params, original=original, direction=direction, do=do: do(direction, original, params)


def prefix_lists_in_rules() -> None:
    """A rule whose source is a prefix list says so. https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_SecurityGroupRule.html"""
    @wrap(ec2, "_sg_rule_xml")
    def rule_xml(original, sg_id, rule, is_egress=False):
        xml = original(sg_id, rule, is_egress)
        if rule.get("PrefixListIds"):
            xml = xml.replace("</toPort>", f"</toPort><prefixListId>{_id(rule['PrefixListIds'][0])}</prefixListId>", 1)
        return xml


def descriptions_of_rules() -> None:
    """UpdateSecurityGroupRuleDescriptionsIngress and -Egress change nothing but descriptions.
    https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_UpdateSecurityGroupRuleDescriptionsIngress.html"""
    def update(direction, params):
        group = ec2._security_groups.get(one(params.get("GroupId")))
        if group is None:
            return ec2._error("InvalidGroup.NotFound", f"The security group '{one(params.get('GroupId'))}' does not exist", 400)
        kind = "Egress" if direction == "IpPermissionsEgress" else "Ingress"
        changes, index = [], 1
        while (identifier := one(params.get(f"SecurityGroupRuleDescription.{index}.SecurityGroupRuleId"))):
            found = next((rule for rule in group[direction] if rule.get("SecurityGroupRuleId") == identifier), None)
            if found is None:
                return ec2._error("InvalidSecurityGroupRuleId.NotFound", f"The security group rule ID '{identifier}' does not exist", 400)
            changes.append((found, one(params.get(f"SecurityGroupRuleDescription.{index}.Description")) or ""))
            index += 1
        for rule in ec2._parse_ip_permissions(params, "IpPermissions") if any(key.startswith("IpPermissions.") for key in params) else []:
            found = next((existing for existing in group[direction] if _same(rule, existing)), None)
            if found is None:
                return ec2._error("InvalidPermission.NotFound", "The specified rule does not exist in this security group.", 400)
            changes.append((found, ec2._sg_rule_description(rule)))
        for rule, description in changes:
            rule.pop("Description", None)
            for family in _FAMILIES:
                for source in rule.get(family) or []:
                    if isinstance(source, dict):
                        source.pop("Description", None)
                        if description:
                            source["Description"] = description
        return ec2._xml(200, f"UpdateSecurityGroupRuleDescriptions{kind}Response", "<return>true</return>")

    ec2._ACTION_MAP["UpdateSecurityGroupRuleDescriptionsIngress"] = lambda params: update("IpPermissions", params)
    ec2._ACTION_MAP["UpdateSecurityGroupRuleDescriptionsEgress"] = lambda params: update("IpPermissionsEgress", params)


def dry_runs_change_nothing() -> None:
    """DryRun answers DryRunOperation where the call would have been allowed, and does nothing.
    https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_AuthorizeSecurityGroupIngress.html"""
    for action, handler in list(ec2._ACTION_MAP.items()):
        def maybe(params, handler=handler):
            if (one(params.get("DryRun")) or "").lower() == "true":
                return ec2._error("DryRunOperation", "Request would have succeeded, but DryRun flag is set.", 412)
            return handler(params)
        ec2._ACTION_MAP[action] = maybe


def interfaces_of_functions() -> None:
    """Lambda keeps one network interface for each subnet and set of groups, which the functions share; DescribeNetworkInterfaces shows it
    and takes filters. https://docs.aws.amazon.com/lambda/latest/dg/configuration-vpc.html#configuration-vpc-enis"""
    def of_functions() -> list[dict]:
        found = {}
        for name in lambda_svc._functions.keys():
            func = lambda_svc._functions[name]
            for config in [func["config"], *(version["config"] for version in func.get("versions", {}).values())]:
                vpc = config.get("VpcConfig") or {}
                groups = sorted(vpc.get("SecurityGroupIds") or [])
                for subnet in vpc.get("SubnetIds") or []:
                    if (subnet, *groups) in found:
                        continue
                    seed = hashlib.sha1(f"{get_account_id()}{get_region()}{subnet}{groups}".encode()).hexdigest()
                    record = ec2._subnets.get(subnet) or {}
                    found[(subnet, *groups)] = {
                        "id": f"eni-0{seed[:16]}", "subnet": subnet, "vpc": vpc.get("VpcId") or record.get("VpcId", ""), "groups": groups,
                        "az": record.get("AvailabilityZone", ""), "name": name,
                        "address": ".".join((record.get("CidrBlock") or "10.0.0.0/24").split("/")[0].split(".")[:3] + [str(int(seed[16:18], 16) % 250 + 4)]),
                    }
        return list(found.values())

    def xml(interface: dict) -> str:
        groups = "".join(f"<item><groupId>{group}</groupId><groupName>{(ec2._security_groups.get(group) or {}).get('GroupName', '')}</groupName></item>"
                         for group in interface["groups"])
        return (f"<item><networkInterfaceId>{interface['id']}</networkInterfaceId><subnetId>{interface['subnet']}</subnetId>"
                f"<vpcId>{interface['vpc']}</vpcId><availabilityZone>{interface['az']}</availabilityZone>"
                f"<description>AWS Lambda VPC ENI-{interface['name']}-{interface['id'][5:]}</description><ownerId>{get_account_id()}</ownerId>"
                f"<requesterId>AROAEXAMPLE:{get_account_id()}</requesterId><requesterManaged>true</requesterManaged><status>in-use</status>"
                f"<privateIpAddress>{interface['address']}</privateIpAddress><interfaceType>lambda</interfaceType><sourceDestCheck>true</sourceDestCheck>"
                f"<groupSet>{groups}</groupSet><attachment><attachmentId>eni-attach-0{interface['id'][5:]}</attachmentId>"
                "<instanceOwnerId>amazon-aws</instanceOwnerId><deviceIndex>1</deviceIndex><status>attached</status><deleteOnTermination>false</deleteOnTermination>"
                "</attachment><tagSet/></item>")

    def wanted(filters: dict, values: dict) -> bool:
        return all(any(re.fullmatch(re.escape(pattern).replace(r"\*", ".*"), value) for pattern in patterns for value in values[name])
                   for name, patterns in filters.items() if name in values)

    def describe(params):
        ids = ec2._parse_member_list(params, "NetworkInterfaceId")
        filters = ec2._parse_filters(params)
        items = ""
        for eni in ec2._network_interfaces.values():
            groups = [group.get("GroupId") if isinstance(group, dict) else group for group in eni.get("Groups") or eni.get("SecurityGroupIds") or []]
            values = {"group-id": groups, "subnet-id": [eni.get("SubnetId", "")], "vpc-id": [eni.get("VpcId", "")],
                      "status": [eni.get("Status", "")], "network-interface-id": [eni["NetworkInterfaceId"]],
                      "interface-type": [eni.get("InterfaceType", "interface")], "description": [eni.get("Description", "")],
                      "requester-managed": ["false"]}
            if (not ids or eni["NetworkInterfaceId"] in ids) and wanted(filters, values):
                items += ec2._eni_fields_xml(eni)
        for interface in of_functions():
            values = {"group-id": interface["groups"], "subnet-id": [interface["subnet"]], "vpc-id": [interface["vpc"]], "status": ["in-use"],
                      "network-interface-id": [interface["id"]], "interface-type": ["lambda"], "requester-managed": ["true"],
                      "description": [f"AWS Lambda VPC ENI-{interface['name']}-{interface['id'][5:]}"]}
            if (not ids or interface["id"] in ids) and wanted(filters, values):
                items += xml(interface)
        missing = set(ids or ()) - set(re.findall(r"<networkInterfaceId>([^<]+)<", items))
        if missing and not filters:
            return ec2._error("InvalidNetworkInterfaceID.NotFound", f"The networkInterface ID '{sorted(missing)[0]}' does not exist", 400)
        return ec2._xml(200, "DescribeNetworkInterfacesResponse", f"<networkInterfaceSet>{items}</networkInterfaceSet>")

    ec2._ACTION_MAP["DescribeNetworkInterfaces"] = describe


def groups_by_id() -> None:
    """Groups are filtered by their ids too; who filters by one that is gone gets none.
    https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_DescribeSecurityGroups.html"""
    original = ec2._ACTION_MAP["DescribeSecurityGroups"]

    def describe(params):
        wanted = ec2._parse_filters(params).get("group-id")
        if not wanted:
            return original(params)
        named = ec2._parse_member_list(params, "GroupId")
        there = [group for group in wanted if group in ec2._security_groups and (not named or group in named)]
        if not there:
            return ec2._xml(200, "DescribeSecurityGroupsResponse", "<securityGroupInfo/>")
        others = {key: value for key, value in params.items() if not key.startswith("GroupId.")}
        return original({**others, **{f"GroupId.{index}": [group] for index, group in enumerate(there, 1)}})

    ec2._ACTION_MAP["DescribeSecurityGroups"] = describe


def groups_in_use() -> None:
    """A security group that an interface uses, or that another group's rule names, cannot be deleted.
    https://docs.aws.amazon.com/vpc/latest/userguide/deleting-security-groups.html"""
    original = ec2._ACTION_MAP["DeleteSecurityGroup"]

    def delete(params):
        identifier = one(params.get("GroupId"))
        for name in lambda_svc._functions.keys():
            if identifier in ((lambda_svc._functions[name]["config"].get("VpcConfig") or {}).get("SecurityGroupIds") or []):
                return ec2._error("DependencyViolation", f"resource {identifier} has a dependent object", 400)
        return original(params)

    ec2._ACTION_MAP["DeleteSecurityGroup"] = delete


def references_of_peers() -> None:
    """Which groups the rules of peered VPCs name: none, where no VPC has a peer.
    https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_DescribeSecurityGroupReferences.html"""
    def references(params):
        if ec2._vpc_peering.keys():
            return ec2._error("UnsupportedOperation", "The emulator knows no groups of peered VPCs.", 400)
        return ec2._xml(200, "DescribeSecurityGroupReferencesResponse", "<securityGroupReferenceSet/>")

    ec2._ACTION_MAP["DescribeSecurityGroupReferences"] = references


def apply() -> None:
    one_rule_for_each_range()
    prefix_lists_in_rules()
    duplicates_and_strangers_are_refused()
    descriptions_of_rules()
    interfaces_of_functions()
    groups_by_id()
    groups_in_use()
    references_of_peers()
    ec2_network.apply()
    # Last, because it takes hold of every handler that is there.
    dry_runs_change_nothing()
