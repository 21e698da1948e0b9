"""EC2's network: ACLs, routes and endpoints."""
import random
import string

from ministack.services import ec2

from .patch import one

LAST = 32767


def _new_id(prefix: str) -> str:
    return f"{prefix}-0" + "".join(random.choices(string.hexdigits[:16].lower(), k=16))


def _ends() -> list[dict]:
    return [{"RuleNumber": LAST, "Protocol": "-1", "RuleAction": "deny", "Egress": egress, "CidrBlock": "0.0.0.0/0"} for egress in (False, True)]


def _settle_associations() -> None:
    """Every subnet is associated with one ACL: from the beginning, with the default one of its VPC."""
    associated = set()
    for acl in ec2._network_acls.values():
        acl["Associations"] = [item for item in acl["Associations"] if item["SubnetId"] in ec2._subnets]
        associated |= {item["SubnetId"] for item in acl["Associations"]}
    for subnet in ec2._subnets.values():
        if subnet["SubnetId"] in associated:
            continue
        default = next((acl for acl in ec2._network_acls.values() if acl["IsDefault"] and acl["VpcId"] == subnet["VpcId"]), None)
        if default is not None:
            default["Associations"].append({"NetworkAclAssociationId": _new_id("aclassoc"), "SubnetId": subnet["SubnetId"]})


def associations_of_acls() -> None:
    """A subnet is behind exactly one ACL, the default one until somebody replaces the association; the new association has
    another id and the same subnet. An ACL with subnets cannot be deleted.
    https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_ReplaceNetworkAclAssociation.html"""
    describe, delete = ec2._ACTION_MAP["DescribeNetworkAcls"], ec2._ACTION_MAP["DeleteNetworkAcl"]

    def filtered(params):
        _settle_associations()
        filters = ec2._parse_filters(params)
        ids, subnets = filters.get("network-acl-id"), filters.get("association.subnet-id")
        if ids is None and subnets is None:
            return describe(params)
        there = [name for name, acl in ec2._network_acls.items()
                 if (ids is None or name in ids) and (subnets is None or any(item["SubnetId"] in subnets for item in acl["Associations"]))]
        if not there:
            return ec2._xml(200, "DescribeNetworkAclsResponse", "<networkAclSet/>")
        return describe({**params, **{f"NetworkAclId.{index}": [name] for index, name in enumerate(there, 1)}})

    def replace(params):
        _settle_associations()
        to = ec2._network_acls.get(one(params.get("NetworkAclId")))
        if to is None:
            return ec2._error("InvalidNetworkAclID.NotFound", f"The networkAcl ID '{one(params.get('NetworkAclId'))}' does not exist", 400)
        identifier = one(params.get("AssociationId"))
        for acl in ec2._network_acls.values():
            for item in acl["Associations"]:
                if item["NetworkAclAssociationId"] == identifier:
                    acl["Associations"].remove(item)
                    to["Associations"].append({**item, "NetworkAclAssociationId": _new_id("aclassoc")})
                    made = to["Associations"][-1]["NetworkAclAssociationId"]
                    return ec2._xml(200, "ReplaceNetworkAclAssociationResponse", f"<newAssociationId>{made}</newAssociationId>")
        return ec2._error("InvalidAssociationID.NotFound", f"The association ID '{identifier}' does not exist", 400)

    def unless_used(params):
        _settle_associations()
        acl = ec2._network_acls.get(one(params.get("NetworkAclId")))
        if acl is not None and (acl["IsDefault"] or acl["Associations"]):
            return ec2._error("DependencyViolation", f"The networkAcl '{acl['NetworkAclId']}' has dependencies and cannot be deleted.", 400)
        return delete(params)

    ec2._ACTION_MAP.update(DescribeNetworkAcls=filtered, ReplaceNetworkAclAssociation=replace, DeleteNetworkAcl=unless_used)


def entries_of_acls() -> None:
    """An entry has ports or ICMP types where its protocol has them, and its number is taken once in each direction; a new
    ACL denies everything. https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_CreateNetworkAclEntry.html"""
    create = ec2._ACTION_MAP["CreateNetworkAcl"]

    def new(params):
        before = set(ec2._network_acls.keys())
        answer = create(params)
        for name in set(ec2._network_acls.keys()) - before:
            ec2._network_acls[name]["Entries"] = _ends()
        return answer

    def read(params) -> dict:
        protocol = {"tcp": "6", "udp": "17", "icmp": "1", "icmpv6": "58"}.get(one(params.get("Protocol")), one(params.get("Protocol")))
        entry = {"RuleNumber": int(one(params["RuleNumber"])), "Protocol": protocol, "RuleAction": one(params["RuleAction"]),
                 "Egress": one(params["Egress"]) == "true"}
        for family in ("CidrBlock", "Ipv6CidrBlock"):
            if one(params.get(family)):
                entry[family] = one(params[family])
        if protocol in ("6", "17"):
            entry["PortRange"] = (one(params.get("PortRange.From")), one(params.get("PortRange.To")))
        if protocol in ("1", "58") and one(params.get("Icmp.Type")):
            entry["Icmp"] = (one(params.get("Icmp.Type")), one(params.get("Icmp.Code")) or "-1")
        return entry

    def change(params, do):
        acl = ec2._network_acls.get(one(params.get("NetworkAclId")))
        if acl is None:
            return ec2._error("InvalidNetworkAclID.NotFound", f"The networkAcl ID '{one(params.get('NetworkAclId'))}' does not exist", 400)
        key = (int(one(params["RuleNumber"])), one(params["Egress"]) == "true")
        return do(acl, key, next((entry for entry in acl["Entries"] if (entry["RuleNumber"], entry["Egress"]) == key), None))

    def missing(key):
        return ec2._error("InvalidNetworkAclEntry.NotFound", f"The {'egress' if key[1] else 'ingress'} entry {key[0]} does not exist", 400)

    def add(params):
        def do(acl, key, present):
            if present is not None:
                return ec2._error("NetworkAclEntryAlreadyExists", f"The network acl entry identified by {key[0]} already exists.", 400)
            acl["Entries"].append(read(params))
            return ec2._xml(200, "CreateNetworkAclEntryResponse", "<return>true</return>")
        return change(params, do)

    def replace(params):
        def do(acl, key, present):
            if present is None:
                return missing(key)
            acl["Entries"][acl["Entries"].index(present)] = read(params)
            return ec2._xml(200, "ReplaceNetworkAclEntryResponse", "<return>true</return>")
        return change(params, do)

    def delete(params):
        def do(acl, key, present):
            if present is None:
                return missing(key)
            acl["Entries"].remove(present)
            return ec2._xml(200, "DeleteNetworkAclEntryResponse", "<return>true</return>")
        return change(params, do)

    shown = ec2._network_acl_entry_xml

    def xml(entry):
        text = shown(entry)
        if entry.get("PortRange"):
            first, last = entry["PortRange"]
            text = text.replace("</item>", f"<portRange><from>{first}</from><to>{last}</to></portRange></item>")
        if entry.get("Icmp"):
            kind, code = entry["Icmp"]
            text = text.replace("</item>", f"<icmpTypeCode><type>{kind}</type><code>{code}</code></icmpTypeCode></item>")
        return text

    ec2._network_acl_entry_xml = xml
    ec2._ACTION_MAP.update(CreateNetworkAcl=new, CreateNetworkAclEntry=add, ReplaceNetworkAclEntry=replace, DeleteNetworkAclEntry=delete)


_DESTINATIONS = ("DestinationCidrBlock", "DestinationIpv6CidrBlock", "DestinationPrefixListId")
_TARGETS = ("GatewayId", "NatGatewayId", "EgressOnlyInternetGatewayId", "VpcPeeringConnectionId", "TransitGatewayId", "NetworkInterfaceId",
            "InstanceId", "VpcEndpointId", "LocalGatewayId", "CarrierGatewayId", "CoreNetworkArn")


def routes_of_tables() -> None:
    """A table holds a destination once (IPv4, IPv6 or prefix list), whatever the target; who replaces or deletes one that is not
    there is told. https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_CreateRoute.html"""
    def change(params, do):
        table = ec2._route_tables.get(one(params.get("RouteTableId")))
        if table is None:
            return ec2._error("InvalidRouteTableID.NotFound", f"The routeTable ID '{one(params.get('RouteTableId'))}' does not exist", 400)
        key = {name: one(params[name]) for name in _DESTINATIONS if one(params.get(name))}
        target = {name: one(params[name]) for name in _TARGETS if one(params.get(name))}
        return do(table, key, target, next((route for route in table["Routes"] if all(route.get(name) == value for name, value in key.items())), None))

    def missing(table, key):
        return ec2._error("InvalidRoute.NotFound", f"no route with destination {next(iter(key.values()), '')} in route table {table['RouteTableId']}", 400)

    def create(table, key, target, present):
        if present is not None:
            return ec2._error("RouteAlreadyExists", f"The route identified by {next(iter(key.values()))} already exists.", 400)
        table["Routes"].append({**key, **target, "State": "active", "Origin": "CreateRoute"})
        return ec2._xml(200, "CreateRouteResponse", "<return>true</return>")

    def replace(table, key, target, present):
        if present is None:
            return missing(table, key)
        table["Routes"][table["Routes"].index(present)] = {**key, **target, "State": "active", "Origin": "CreateRoute"}
        return ec2._xml(200, "ReplaceRouteResponse", "<return>true</return>")

    def delete(table, key, target, present):
        if present is None:
            return missing(table, key)
        table["Routes"].remove(present)
        return ec2._xml(200, "DeleteRouteResponse", "<return>true</return>")

    ec2._ACTION_MAP.update(CreateRoute=lambda params: change(params, create), ReplaceRoute=lambda params: change(params, replace),
                           DeleteRoute=lambda params: change(params, delete))


def _is_there(route: dict, vpc: str) -> bool:
    nat = ec2._nat_gateways.get(route.get("NatGatewayId"))
    peering = ec2._vpc_peering.get(route.get("VpcPeeringConnectionId"))
    gateway = route.get("GatewayId") or ""
    if route.get("NatGatewayId"):
        return nat is not None and nat["State"] == "available"
    if route.get("VpcPeeringConnectionId"):
        status = (peering or {}).get("Status") or {}
        return status.get("Code") == "active"
    if gateway.startswith("igw-"):
        return any(item["VpcId"] == vpc for item in (ec2._internet_gateways.get(gateway) or {}).get("Attachments", []))
    if route.get("NetworkInterfaceId"):
        return route["NetworkInterfaceId"] in ec2._network_interfaces
    return True


def blackholes_and_endpoint_routes() -> None:
    """A route whose target is gone, or not attached, is a blackhole; each table of a gateway endpoint has a route for its
    service's prefix list. https://docs.aws.amazon.com/vpc/latest/userguide/route-table-options.html"""
    shown = ec2._rtb_fields_xml

    def xml(table, tag="item"):
        routes = [{**route, "State": "active" if _is_there(route, table["VpcId"]) else "blackhole"} for route in table["Routes"]]
        for endpoint in ec2._vpc_endpoints.values():
            if endpoint["VpcEndpointType"] == "Gateway" and table["RouteTableId"] in endpoint.get("RouteTableIds", []):
                routes.append({"DestinationPrefixListId": ec2._aws_pl_id_from_name(endpoint["ServiceName"]), "GatewayId": endpoint["VpcEndpointId"],
                               "State": "active", "Origin": "CreateRoute"})
        return shown({**table, "Routes": routes}, tag)

    ec2._rtb_fields_xml = xml


def filters_by_id() -> None:
    """The ids of route tables and peering connections are filters as well, which find nothing where nothing has such an id.
    https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_DescribeRouteTables.html"""
    def filtered(operation: str, name: str, parameter: str, shown: str, there: dict):
        describe = ec2._ACTION_MAP[operation]

        def described(params):
            wanted = ec2._parse_filters(params).get(name)
            if wanted is None:
                return describe(params)
            # One that is not there would be an error, if it were named as a parameter.
            ids = [each for each in wanted if each in there]
            if not ids:
                return ec2._xml(200, f"{operation}Response", f"<{shown}/>")
            return describe({**params, **{f"{parameter}.{index}": [each] for index, each in enumerate(ids, 1)}})
        ec2._ACTION_MAP[operation] = described

    filtered("DescribeRouteTables", "route-table-id", "RouteTableId", "routeTableSet", ec2._route_tables)
    filtered("DescribeVpcPeeringConnections", "vpc-peering-connection-id", "VpcPeeringConnectionId", "vpcPeeringConnectionSet", ec2._vpc_peering)


def endpoints() -> None:
    """Endpoints are found by their VPC; interface endpoints have security groups and private DNS.
    https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_VpcEndpoint.html"""
    create, modify, shown = ec2._ACTION_MAP["CreateVpcEndpoint"], ec2._ACTION_MAP["ModifyVpcEndpoint"], ec2._vpce_fields_xml

    def settle(endpoint, params):
        groups = ec2._parse_member_list(params, "SecurityGroupId") + ec2._parse_member_list(params, "AddSecurityGroupId")
        gone = ec2._parse_member_list(params, "RemoveSecurityGroupId")
        endpoint["Groups"] = [group for group in dict.fromkeys(endpoint.get("Groups", []) + groups) if group not in gone]
        if one(params.get("PrivateDnsEnabled")):
            endpoint["PrivateDnsEnabled"] = one(params["PrivateDnsEnabled"]) == "true"
        endpoint.setdefault("PrivateDnsEnabled", endpoint["VpcEndpointType"] == "Interface")

    def made(params):
        before = set(ec2._vpc_endpoints.keys())
        answer = create(params)
        for name in set(ec2._vpc_endpoints.keys()) - before:
            settle(ec2._vpc_endpoints[name], params)
        return answer

    def modified(params):
        answer = modify(params)
        endpoint = ec2._vpc_endpoints.get(one(params.get("VpcEndpointId")))
        if endpoint is not None:
            settle(endpoint, params)
        return answer

    def xml(endpoint, tag="item"):
        groups = "".join(f"<item><groupId>{group}</groupId><groupName>{(ec2._security_groups.get(group) or {}).get('GroupName', '')}</groupName></item>"
                         for group in endpoint.get("Groups", []))
        more = f"<groupSet>{groups}</groupSet><privateDnsEnabled>{'true' if endpoint.get('PrivateDnsEnabled') else 'false'}</privateDnsEnabled></{tag}>"
        text = shown(endpoint, tag)
        return text[:text.rindex(f"</{tag}>")] + more

    def describe(params):
        filters, ids = ec2._parse_filters(params), ec2._parse_member_list(params, "VpcEndpointId")
        keys = {"vpc-id": "VpcId", "service-name": "ServiceName", "vpc-endpoint-id": "VpcEndpointId", "vpc-endpoint-type": "VpcEndpointType",
                "vpc-endpoint-state": "State"}
        found = [endpoint for endpoint in ec2._vpc_endpoints.values() if (not ids or endpoint["VpcEndpointId"] in ids)
                 and all(endpoint[keys[name]] in values for name, values in filters.items() if name in keys)]
        return ec2._xml(200, "DescribeVpcEndpointsResponse", f"<vpcEndpointSet>{''.join(ec2._vpce_fields_xml(endpoint) for endpoint in found)}</vpcEndpointSet>")

    ec2._vpce_fields_xml = xml
    ec2._ACTION_MAP.update(CreateVpcEndpoint=made, ModifyVpcEndpoint=modified, DescribeVpcEndpoints=describe)


def apply() -> None:
    associations_of_acls()
    entries_of_acls()
    routes_of_tables()
    blackholes_and_endpoint_routes()
    endpoints()
    filters_by_id()
